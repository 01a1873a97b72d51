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

const faultOf = "ENVIRONMENTTEST_FAULT"

// wrong is a backend that does something wrong.
type wrong struct {
	environment.Backend
	publish func(context.Context, environment.Backend, environment.State) error
	read    func(environment.Snapshot, error) (environment.Snapshot, error)
}

func (w *wrong) Publish(ctx context.Context, s environment.State) error {
	if w.publish == nil {
		return w.Backend.Publish(ctx, s)
	}
	s.Deployments = slices.Clone(s.Deployments)
	return w.publish(ctx, w.Backend, s)
}

func (w *wrong) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	snapshot, err := w.Backend.Read(ctx, application)
	if w.read == nil {
		return snapshot, err
	}
	for i := range snapshot.Environments {
		snapshot.Environments[i].Deployments = slices.Clone(snapshot.Environments[i].Deployments)
	}
	return w.read(snapshot, err)
}

// writes returns a fault that changes what is published.
func writes(change func(*environment.Deployment)) wrong {
	return wrong{publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		for i := range s.Deployments {
			change(&s.Deployments[i])
		}
		return b.Publish(ctx, s)
	}}
}

// reads returns a fault that changes what is read.
func reads(change func(*environment.State)) wrong {
	return wrong{read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		for i := range snapshot.Environments {
			change(&snapshot.Environments[i])
		}
		return snapshot, err
	}}
}

var serial int

var faults = map[string]wrong{
	"trusts everybody": reads(func(s *environment.State) {
		for i := range s.Deployments {
			s.Deployments[i].UntrustedReason = ""
		}
	}),
	"trusts nobody": reads(func(s *environment.State) {
		for i := range s.Deployments {
			s.Deployments[i].UntrustedReason = "who knows"
		}
	}),
	"oldest first":       reads(func(s *environment.State) { slices.Reverse(s.Deployments) }),
	"no relations":       reads(func(s *environment.State) { s.After = nil }),
	"only the newest":    reads(func(s *environment.State) { s.Deployments = s.Deployments[:1] }),
	"forgets retries":    writes(func(d *environment.Deployment) { d.Attempt = time.Time{} }),
	"forgets quarantine": writes(func(d *environment.Deployment) { d.Quarantine = "" }),
	"goes by the id":     writes(func(d *environment.Deployment) { d.Key = fmt.Sprint(d.ID) }),
	"always anew":        writes(func(d *environment.Deployment) { serial++; d.Key = fmt.Sprint(d.Key, serial) }),
	"cuts letters": reads(func(s *environment.State) {
		for i, d := range s.Deployments {
			s.Deployments[i].Message = d.Message[:min(len(d.Message), 121)]
		}
	}),
	"cuts too much": writes(func(d *environment.Deployment) { d.StateMessage = d.StateMessage[:min(len(d.StateMessage), 40)] }),
	"forgets when":  writes(func(d *environment.Deployment) { d.AvailableSince = time.Time{} }),
	"takes what has no key": writes(func(d *environment.Deployment) {
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
	"says nothing of failures": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		var one *environment.DeploymentError
		if err := b.Publish(ctx, s); !errors.As(err, &one) {
			return err
		}
		return nil
	}},
	"blames the backend": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		if err := b.Publish(ctx, s); err != nil {
			return errors.New("it failed")
		}
		return nil
	}},
	"never ends": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		return b.Publish(context.WithoutCancel(ctx), s)
	}},
	"writes all the time": {publish: func(ctx context.Context, b environment.Backend, s environment.State) error {
		again := s
		again.Deployments = slices.Clone(s.Deployments)
		for i := range again.Deployments {
			again.Deployments[i].StateMessage += " "
		}
		return errors.Join(b.Publish(ctx, again), b.Publish(ctx, s))
	}},
	"forgets when it cannot ask": {read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		if err != nil {
			return environment.Snapshot{}, err
		}
		return snapshot, nil
	}},
	"makes old snapshot new": {read: func(snapshot environment.Snapshot, _ error) (environment.Snapshot, error) { return snapshot, nil }},
	"dates snapshot wrongly": {read: func(snapshot environment.Snapshot, err error) (environment.Snapshot, error) {
		snapshot.At = snapshot.At.Truncate(time.Hour)
		return snapshot, err
	}},
}

func open(with func(environment.Backend) environment.Backend) func(*testing.T) environmenttest.Place {
	return func(*testing.T) environmenttest.Place {
		clock := environmenttest.NewClock()
		p := memory.NewPlace(clock)
		var a environmenttest.Accidents
		p.Interrupt(func(e memory.Effect) (i memory.Interruption) {
			i.Before, i.After = a.Next(e != memory.Read)
			return i
		})
		place := environmenttest.NewPlace(clock, &a)
		place.Backend = func(_ *testing.T, actor string, trusted ...string) environment.Backend {
			return with(p.Backend(actor, trusted...))
		}
		place.Reject, place.Writes, place.Deployments = p.Reject, p.Writes, p.Deployments
		return place
	}
}

// TestFault runs the contract with one fault, for TestContractFindsFaults.
func TestFault(t *testing.T) {
	name := os.Getenv(faultOf)
	if name == "" {
		t.Skip("is run by TestContractFindsFaults")
	}
	fault := faults[name]
	environmenttest.Run(t, environmenttest.Harness{Open: open(func(b environment.Backend) environment.Backend {
		own := fault
		own.Backend = b
		return &own
	})})
}

// TestContractFindsFaults: a backend that does anything of this wrong does not pass.
func TestContractFindsFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFault$")
			cmd.Env = append(os.Environ(), faultOf+"="+name)
			var exit *exec.ExitError
			if out, err := cmd.CombinedOutput(); !errors.As(err, &exit) {
				t.Errorf("nothing was found: %v\n%s", err, out)
			}
		})
	}
}
