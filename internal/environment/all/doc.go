// Package all is the list of backends: what opens the one that an Environment names, with the credentials it names.
package all
