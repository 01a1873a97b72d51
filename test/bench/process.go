package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that is measured.
type process struct {
	cmd *exec.Cmd
	// began is when it was started.
	began time.Time
	// metrics and pprof are the addresses of its endpoints, empty if it has none.
	metrics, pprof string
}

func start(cmd *exec.Cmd, log string) (*process, error) {
	file, err := os.Create(filepath.Clean(log))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = file, file
	cmd.WaitDelay = time.Second
	p := &process{cmd: cmd, began: time.Now()}
	return p, errors.Join(cmd.Start(), file.Close())
}

// startFloor starts the floor for a set.
func (b *bench) startFloor(ctx context.Context) (*process, error) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), floorEnv+"="+b.cluster.account, floorNamespacesEnv+"="+b.floors.list(),
		floorWorkersEnv+"="+strconv.Itoa(b.options.workers))
	return start(cmd, filepath.Join(b.cluster.dir, "floor.log"))
}

// startController starts the controller for a set.
func (b *bench) startController(ctx context.Context) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.options.controller,
		"--kubeconfig="+b.cluster.account, "--metrics-bind-address="+address, "--health-probe-bind-address=0",
		"--watch-namespaces="+b.ours.list(), "--concurrent="+strconv.Itoa(b.options.workers), "--settle-time=0s",
		"--allow-networks=127.0.0.0/8", "--log-level=error")
	if b.options.profiles != "" {
		cmd.Args = append(cmd.Args, "--pprof-bind-address="+b.pprof)
	}
	p, err := start(cmd, filepath.Join(b.cluster.dir, "controller.log"))
	if err != nil {
		return nil, err
	}
	p.metrics, p.pprof = address, b.pprof
	return p, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stop ends the process, and returns how long that took.
func (p *process) stop() (time.Duration, error) {
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	err := p.cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = nil
	}
	return time.Since(began), err
}

// usage is what a process has used. It is zero where there is no /proc.
type usage struct {
	// cpu is the processor time since the start.
	cpu time.Duration
	// resident and peak memory in MiB.
	resident, peak float64
}

// clockTick is the unit of the times in /proc on every Linux that Go supports.
const clockTick = 10 * time.Millisecond

func (p *process) usage() usage {
	var u usage
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name of the program comes before it
	if fields := strings.Fields(rest); len(fields) > 12 {
		u.cpu = time.Duration(number(fields[11])+number(fields[12])) * clockTick
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "VmRSS:":
			u.resident = float64(number(fields[1])) / 1024
		case fields[0] == "VmHWM:":
			u.peak = float64(number(fields[1])) / 1024
		}
	}
	return u
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// metric adds up the metrics whose line starts with a text; 0 while the process does not answer.
func (p *process) metric(ctx context.Context, prefix string) float64 {
	resp, err := get(ctx, "http://"+p.metrics+"/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	sum := 0.0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 && strings.HasPrefix(lines.Text(), prefix) {
			value, err := strconv.ParseFloat(fields[1], 64)
			if err == nil {
				sum += value
			}
		}
	}
	return sum
}

// profile saves a profile of the process in a folder.
func (p *process) profile(ctx context.Context, query, file string) error {
	resp, err := get(ctx, "http://"+p.pprof+"/debug/pprof/"+query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}
