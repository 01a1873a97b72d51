//go:build !linux

package dist

import "context"

// Start does nothing here: the images are for Linux.
func Start(context.Context, string, string, ...string) (out string, ok bool, err error) {
	return "", false, nil
}
