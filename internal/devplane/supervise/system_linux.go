package supervise

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes put a program into its own process group, so that Ctrl-C reaches
// us alone and we end it in order, and have the kernel kill it if we crash.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// commandLine is the command line of a process, empty if it is gone.
func commandLine(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(strings.TrimRight(string(data), "\x00"), "\x00", " ")
}
