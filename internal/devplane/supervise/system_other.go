//go:build !linux

package supervise

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes put a program into its own process group, so that Ctrl-C reaches
// us alone and we end it in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// commandLine is the command line of a process, empty if it is gone.
func commandLine(pid int) string {
	data, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
