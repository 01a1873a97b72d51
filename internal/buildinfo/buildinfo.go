package buildinfo

import (
	"fmt"
	"runtime"
)

// Version of the program. The linker sets it. Defaults to "dev".
var Version = "dev"

// Line returns what a program prints for --version: its name, its version and its platform.
func Line(program string) string {
	return fmt.Sprintf("%s %s %s %s/%s", program, Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
