// Package all is the list of backends. It opens the one that an Environment names, with the credentials that it names.
package all
