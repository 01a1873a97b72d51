package dist

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Start runs the program of an unpacked image as its user, with the image as its root folder and nothing in its
// environment. It needs to be root: ok is false if it is not.
func Start(ctx context.Context, dir, program string, args ...string) (out string, ok bool, err error) {
	if os.Getuid() != 0 {
		return "", false, nil
	}
	c := exec.CommandContext(ctx, "/"+program, args...)
	c.Path, c.Err, c.Dir, c.Env = "/"+program, nil, "/", []string{}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: UserID, Gid: UserID}}
	printed, err := c.CombinedOutput()
	if err != nil {
		return string(printed), true, fmt.Errorf("starting %s in its image: %w\n%s", program, err, printed)
	}
	return string(printed), true, nil
}
