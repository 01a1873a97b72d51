package environmenttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/memory"
)

const faultEnv = "ENVIRONMENTTEST_FAULT"

// faulty is a backend with a fault.
type faulty struct {
	environment.Backend
	publish func(context.Context, environment.Backend, environment.State) error
	read    func(environment.Snapshot, error) (environment.Snapshot, error)
}

func (w *faulty) Publish(ctx context.Context, s environment.State) error {
	if w.publish == nil {
		return w.Backend.Publish(ctx, s)
	}
	s.Deployments = slices.Clone(s.Deployments)
	return w.publish(ctx, w.Backend, s)
}

func (w *faulty) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	snapshot, err := w.Backend.Read(ctx, application)
	if w.read == nil {
		return snapshot, err
	}
	for i := range snapshot.Environments {
		snapshot.Environments[i].Deployments = slices.Clone(snapshot.Environments[i].Deployments)
	}
	return w.read(snapshot, err)
}

// changedWrites returns a backend that changes what is published.
func changedWrites(change func(*environment.Deployment)) faulty {
	return faulty{publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		for i := range s.Deployments {
			change(&s.Deployments[i])
		}
		return b.Publish(ctx, s)
	}}
}

// changedReads returns a backend that changes what is read.
func changedReads(change func(*environment.State)) faulty {
	return faulty{read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		for i := range snapshot.Environments {
			change(&snapshot.Environments[i])
		}
		return snapshot, err
	}}
}

var serial int

var faults = map[string]faulty{
	"trusts all logins": changedReads(func(s *environment.State) {
		for i := range s.Deployments {
			s.Deployments[i].UntrustedReason = ""
		}
	}),
	"trusts no login": changedReads(func(s *environment.State) {
		for i := range s.Deployments {
			s.Deployments[i].UntrustedReason = "unknown"
		}
	}),
	"oldest first":          changedReads(func(s *environment.State) { slices.Reverse(s.Deployments) }),
	"no relations":          changedReads(func(s *environment.State) { s.After = nil }),
	"only the newest":       changedReads(func(s *environment.State) { s.Deployments = s.Deployments[:1] }),
	"forgets retries":       changedWrites(func(d *environment.Deployment) { d.Attempt = time.Time{} }),
	"forgets quarantine":    changedWrites(func(d *environment.Deployment) { d.Quarantine = "" }),
	"identifies by ID only": changedWrites(func(d *environment.Deployment) { d.Key = fmt.Sprint(d.ID) }),
	"creates again each time": changedWrites(
		func(d *environment.Deployment) { serial++; d.Key = fmt.Sprint(d.Key, serial) },
	),
	"cuts within characters": changedReads(func(s *environment.State) {
		for i, d := range s.Deployments {
			s.Deployments[i].Message = d.Message[:min(len(d.Message), 121)]
		}
	}),
	"cuts too much": changedWrites(
		func(d *environment.Deployment) { d.StateMessage = d.StateMessage[:min(len(d.StateMessage), 40)] },
	),
	"loses AvailableSince": changedWrites(func(d *environment.Deployment) { d.AvailableSince = time.Time{} }),
	"accepts missing keys": changedWrites(func(d *environment.Deployment) {
		if d.Key == "" {
			d.Key = "none"
		}
	}),
	"mixes environments": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		s.Environment = "everything"
		return b.Publish(ctx, s)
	}},
	"mixes applications": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		s.Application = "shop"
		return b.Publish(ctx, s)
	}},
	"all or nothing": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		for i := range s.Deployments {
			one := s
			one.Deployments = s.Deployments[len(s.Deployments)-1-i:][:1]
			if err := b.Publish(ctx, one); err != nil {
				return err
			}
		}
		return nil
	}},
	"hides rejected deployments": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		var one *environment.DeploymentError
		if err := b.Publish(ctx, s); !errors.As(err, &one) {
			return err
		}
		return nil
	}},
	"loses the rejected ID": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		if err := b.Publish(ctx, s); err != nil {
			return errors.New("it failed")
		}
		return nil
	}},
	"ignores the context": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		return b.Publish(context.WithoutCancel(ctx), s)
	}},
	"writes without a change": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		again := s
		again.Deployments = slices.Clone(s.Deployments)
		for i := range again.Deployments {
			again.Deployments[i].StateMessage += " "
		}
		return errors.Join(b.Publish(ctx, again), b.Publish(ctx, s))
	}},
	"loses the snapshot on errors": {read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		if err != nil {
			return environment.Snapshot{}, err
		}
		return snapshot, nil
	}},
	"hides read errors": {
		read: func(snapshot environment.Snapshot, _ error) (environment.Snapshot, error) { return snapshot, nil },
	},
	"wrong snapshot time": {read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		snapshot.At = snapshot.At.Truncate(time.Hour)
		return snapshot, err
	}},
}

func open(with func(environment.Backend) environment.Backend) func(*testing.T) environmenttest.Service {
	return func(*testing.T) environmenttest.Service {
		clock := environmenttest.NewClock()
		s := memory.NewService(clock)
		var faults environmenttest.FaultInjector
		s.Interrupt(func(e memory.Effect) (i memory.Interruption) {
			i.Before, i.After = faults.Next(e != memory.Read)
			return i
		})
		service := environmenttest.NewService(clock, &faults)
		service.Backend = func(_ *testing.T, actor string, trusted ...string) environment.Backend {
			return with(s.Backend(actor, trusted...))
		}
		service.Reject, service.Writes, service.Deployments = s.Reject, s.Writes, s.Deployments
		return service
	}
}

// TestFault runs the contract with one fault, for TestContractFindsFaults.
func TestFault(t *testing.T) {
	name := os.Getenv(faultEnv)
	if name == "" {
		t.Skip("runs in TestContractFindsFaults")
	}
	fault := faults[name]
	environmenttest.Run(t, environmenttest.Harness{Open: open(func(b environment.Backend) environment.Backend {
		own := fault
		own.Backend = b
		return &own
	})})
}

// TestContractFindsFaults: a backend with any of these faults fails the contract test.
func TestContractFindsFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFault$")
			cmd.Env = append(os.Environ(), faultEnv+"="+name)
			var exit *exec.ExitError
			if out, err := cmd.CombinedOutput(); !errors.As(err, &exit) {
				t.Errorf("the fault was not found: %v\n%s", err, out)
			}
		})
	}
}
