package buildinfo

import (
	"fmt"
	"runtime"
)

// Version of the program, set by the linker.
var Version = "dev"

// Line is what a program prints when it is asked for its version.
func Line(program string) string {
	return fmt.Sprintf("%s %s %s %s/%s", program, Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
