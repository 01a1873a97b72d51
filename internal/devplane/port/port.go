package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

const (
	first = 20000
	last  = 32000
	tries = 2000
)

// Pool holds reserved ports.
type Pool struct {
	locks []*os.File
}

// Take reserves a free port.
func (p *Pool) Take() (int, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("kuberik-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("reserving a port: %w", err)
	}
	for range tries {
		n := first + rand.IntN(last-first)
		lock, err := reserve(dir, n)
		if err != nil {
			continue // taken by another local cluster
		}
		if !free(n) {
			lock.Close() //nolint:errcheck // closing releases the lock in any case
			continue
		}
		p.locks = append(p.locks, lock)
		return n, nil
	}
	return 0, errors.New("reserving a port: none is free")
}

// Release releases all ports.
func (p *Pool) Release() {
	for _, lock := range p.locks {
		lock.Close() //nolint:errcheck // closing releases the lock in any case
	}
	p.locks = nil
}

func reserve(dir string, n int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(n)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // closing releases the lock in any case
		return nil, err
	}
	return f, nil
}

func free(n int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
