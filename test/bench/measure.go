package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// quiet is how long the controller makes no request before it counts as done with a burst, and settled with a single
	// release.
	quiet, settled = 3 * time.Second, 700 * time.Millisecond
	// patience is how long anything may take.
	patience = 10 * time.Minute
)

// bench is a run.
type bench struct {
	options      options
	cluster      *cluster
	ours, floors set
	flux         *flux
	audit        *audit
	controller   *process
	pprof        string
	results      *results
	number       int
}

// run measures everything.
func (b *bench) run(ctx context.Context) (*results, error) {
	ctx, cancel := context.WithCancel(ctx)
	var playing sync.WaitGroup
	defer playing.Wait()
	defer cancel()
	image := cmp.Or(b.cluster.registry, "registry.example.com") + "/bench/app"
	b.ours = set{b.cluster.client, "kuberik", image, b.options.rollouts, b.options.namespaces}
	b.floors = set{b.cluster.client, "floor", image, b.options.burst, b.options.namespaces}
	b.flux = newFlux(b.cluster.client, b.options.rollouts+b.options.burst)
	b.audit = &audit{path: b.cluster.audit, agent: filepath.Base(b.options.controller) + "/"}
	b.results = &results{Rollouts: b.options.rollouts, Releases: b.options.burst}
	playing.Go(func() { b.flux.run(ctx) })
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context) error{b.bursts, b.alone, b.rest, b.restart} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	_, err := b.controller.stop()
	return b.results, err
}

// prepare creates the objects, and lets the controller deploy a first release everywhere.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.options.profiles != "" {
		if b.pprof, err = freeAddress(); err != nil {
			return err
		}
		if err = os.MkdirAll(b.options.profiles, 0o750); err != nil {
			return err
		}
	}
	first, err := b.next(ctx)
	if err != nil {
		return err
	}
	say("creating %d Rollouts for the controller, and %d for the floor", b.ours.total, b.floors.total)
	if err := errors.Join(b.ours.create(ctx, first), b.floors.create(ctx, first)); err != nil {
		return err
	}
	say("deploying a first release everywhere")
	if b.controller, err = b.startController(ctx); err != nil {
		return err
	}
	return b.settle(ctx, b.ours.total, first)
}

// next pushes another image.
func (b *bench) next(ctx context.Context) (tag, error) {
	b.number++
	return push(ctx, b.ours.image, b.number, b.cluster.registry != "")
}

// settle waits until the first so many Rollouts of ours have a tag and the controller has nothing to do any more.
func (b *bench) settle(ctx context.Context, count int, t tag) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := b.flux.await(ctx, keys(b.ours, count), t.name); err != nil {
		return fmt.Errorf("waiting for %s: %w; the log is %s", t.name, err, filepath.Join(b.cluster.dir, "controller.log"))
	}
	for {
		if err := b.awaitQuiet(ctx, quiet); err != nil {
			return err
		}
		err := b.ours.check(ctx, count, t)
		if err == nil || ctx.Err() != nil {
			return err
		}
		say("not done yet: %v", err)
	}
}

// awaitQuiet waits until the controller has made no request for a while.
func (b *bench) awaitQuiet(ctx context.Context, period time.Duration) error {
	last, since := -1, time.Now()
	for ctx.Err() == nil {
		n, err := b.requests(ctx)
		switch {
		case err != nil:
			return err
		case n != last:
			last, since = n, time.Now()
		case time.Since(since) > period:
			return nil
		}
		time.Sleep(period / 20)
	}
	return ctx.Err()
}

// requests counts what the controller has asked so far.
func (b *bench) requests(ctx context.Context) (int, error) {
	if b.audit.path == "" {
		return int(b.controller.metric(ctx, "rest_client_requests_total")), nil
	}
	counted, err := b.audit.read()
	return counted.sum(), err
}

// bursts measures releases of all Rollouts at once, of the floor and of the controller in turn.
func (b *bench) bursts(ctx context.Context) error {
	for round := range b.options.rounds {
		say("burst %d of %d", round+1, b.options.rounds)
		t, err := b.next(ctx)
		if err != nil {
			return err
		}
		if err := b.floorBurst(ctx, t); err != nil {
			return err
		}
		if err := b.ourBurst(ctx, t, round == b.options.rounds-1); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) floorBurst(ctx context.Context, t tag) error {
	p, err := b.startFloor(ctx)
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // it also releases what is selected when it starts
	before := p.usage()
	if err := b.burst(ctx, b.floors, t, &b.results.Floor); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // Flux is still at it
	b.results.Floor.add(p.usage(), before, b.options.burst)
	_, err = p.stop()
	return err
}

func (b *bench) ourBurst(ctx context.Context, t tag, last bool) error {
	counted, err := b.audit.read()
	if err != nil {
		return err
	}
	var profiling sync.WaitGroup
	if last && b.options.profiles != "" {
		profiling.Go(func() {
			if err := b.controller.profile(ctx, "profile?seconds=10", filepath.Join(b.options.profiles, "cpu")); err != nil {
				say("profiling: %v", err)
			}
		})
	}
	before := b.controller.usage()
	if err := b.burst(ctx, b.ours, t, &b.results.Kuberik); err != nil {
		return err
	}
	handed, err := b.audit.read()
	if err != nil {
		return err
	}
	b.results.UntilHandedOver = handed.minus(counted).per(b.options.burst)
	if err := b.settle(ctx, b.options.burst, t); err != nil {
		return err
	}
	profiling.Wait()
	b.results.Kuberik.add(b.controller.usage(), before, b.options.burst)
	now, err := b.audit.read()
	b.results.Burst = now.minus(counted).per(b.options.burst)
	return err
}

// burst selects a tag everywhere, and measures until every Kustomization carries it.
func (b *bench) burst(ctx context.Context, s set, t tag, side *side) error {
	began, selected := time.Now(), make([]time.Time, b.options.burst)
	err := s.each(ctx, b.options.burst, func(ctx context.Context, i int) error {
		selected[i] = time.Now()
		return s.selectTag(ctx, i, t)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list := keys(s, b.options.burst)
	times, err := b.flux.await(ctx, list, t.name)
	if err != nil {
		return fmt.Errorf("waiting for %s of %s: %w", t.name, s.name, err)
	}
	last := began
	for i, key := range list {
		side.burst = append(side.burst, times[key].Sub(selected[i]))
		if times[key].After(last) {
			last = times[key]
		}
	}
	side.rates = append(side.rates, float64(b.options.burst)/last.Sub(began).Seconds())
	return nil
}

// alone measures one release at a time, of the floor and of the controller in turn.
func (b *bench) alone(ctx context.Context) error {
	say("%d releases alone", b.options.singles)
	p, err := b.startFloor(ctx)
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	counted, err := b.audit.read()
	if err != nil {
		return err
	}
	cpu := b.controller.usage().cpu
	for i := range b.options.singles {
		t, err := b.next(ctx)
		if err != nil {
			return err
		}
		if err := b.single(ctx, b.floors, i%b.floors.total, t, &b.results.Floor); err != nil {
			return err
		}
		if err := b.single(ctx, b.ours, i%b.ours.total, t, &b.results.Kuberik); err != nil {
			return err
		}
		if err := b.awaitQuiet(ctx, settled); err != nil {
			return err
		}
	}
	if err := b.awaitQuiet(ctx, quiet); err != nil {
		return err
	}
	b.results.CPUAlone = milliseconds(b.controller.usage().cpu-cpu) / float64(b.options.singles)
	now, err := b.audit.read()
	b.results.Alone = now.minus(counted).per(b.options.singles)
	_, stopped := p.stop()
	return errors.Join(err, stopped)
}

func (b *bench) single(ctx context.Context, s set, i int, t tag, side *side) error {
	began := time.Now()
	if err := s.selectTag(ctx, i, t); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	times, err := b.flux.await(ctx, []client.ObjectKey{s.key(i)}, t.name)
	if err != nil {
		return fmt.Errorf("waiting for %s of %s: %w", t.name, s.key(i), err)
	}
	side.single = append(side.single, times[s.key(i)].Sub(began))
	time.Sleep(100 * time.Millisecond) // Flux reports it as applied
	return nil
}

// rest counts requests while nothing happens.
func (b *bench) rest(ctx context.Context) error {
	say("nothing for %s", b.options.idle)
	if b.options.profiles != "" {
		if err := b.controller.profile(ctx, "heap?gc=1", filepath.Join(b.options.profiles, "heap")); err != nil {
			return err
		}
	}
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	time.Sleep(b.options.idle)
	after, err := b.requests(ctx)
	b.results.Idle = after - before
	used := b.controller.usage()
	b.results.Resident, b.results.Peak = used.resident, used.peak
	return err
}

// restart measures how long the controller takes to stop, and after its start to look at every Rollout.
func (b *bench) restart(ctx context.Context) error {
	say("a restart")
	took, err := b.controller.stop()
	if err != nil {
		return err
	}
	b.results.Stop = milliseconds(took)
	if b.controller, err = b.startController(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for b.controller.metric(ctx,
		`controller_runtime_reconcile_total{controller="rollout",result="success"}`) < float64(b.ours.total) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.results.Start = milliseconds(time.Since(b.controller.began))
	return nil
}

func keys(s set, count int) []client.ObjectKey {
	var list []client.ObjectKey
	for i := range count {
		list = append(list, s.key(i))
	}
	return slices.Clip(list)
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
