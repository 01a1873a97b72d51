// Package all opens the backend of an Environment, with the credentials that the Environment names.
package all
