package buildinfo

// Version of the program, set by the linker.
var Version = "dev"
