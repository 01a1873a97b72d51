// Package controller wires the controllers of a manager together. New is the only list of them.
package controller
