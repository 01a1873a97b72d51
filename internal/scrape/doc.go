// Package scrape decides who may read the metrics of a program: the API server says who has sent a token, and whether
// they may get the path.
package scrape
