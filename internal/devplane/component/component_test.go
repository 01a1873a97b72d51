package component_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/devplane/component"
)

var sample = component.Config{
	BinDir: "/bin/devplane",
	Dir:    "/state",
	Ports: component.Ports{
		Etcd: 1, EtcdPeer: 2, APIServer: 3, ControllerManager: 4, Scheduler: 5, KWOK: 6,
		SourceHealth: 7, SourceStorage: 8, KustHealth: 9,
	},
	Workloads: true,
}

func all(c component.Config) []component.Process {
	return []component.Process{
		component.NewEtcd(c), component.NewAPIServer(c), component.NewControllerManager(c), component.NewScheduler(c),
		component.NewKWOK(c), component.NewSourceController(c), component.NewKustomizeController(c),
	}
}

func TestWhatIsStarted(t *testing.T) {
	type summary struct{ Path, Ready string }
	want := map[string]summary{
		component.Etcd:                {"/bin/devplane/etcd", "http://127.0.0.1:1/health"},
		component.APIServer:           {"/bin/devplane/kube-apiserver", "https://127.0.0.1:3/readyz"},
		component.ControllerManager:   {"/bin/devplane/kube-controller-manager", "https://127.0.0.1:4/healthz"},
		component.Scheduler:           {"/bin/devplane/kube-scheduler", "https://127.0.0.1:5/healthz"},
		component.KWOK:                {"/bin/devplane/kwok", "http://127.0.0.1:6/healthz"},
		component.SourceController:    {"/bin/devplane/source-controller", "http://127.0.0.1:7/readyz"},
		component.KustomizeController: {"/bin/devplane/kustomize-controller", "http://127.0.0.1:9/readyz"},
	}
	got := map[string]summary{}
	for _, p := range all(sample) {
		got[p.Name] = summary{p.Path, p.ReadyURL}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
}

func TestArguments(t *testing.T) {
	bare := sample
	bare.Workloads = false
	for name, c := range map[string]struct {
		reason  string
		process component.Process
		want    []string
		never   []string
	}{
		"etcd": {
			reason:  "keeps its data in the state folder and does not wait for the disk",
			process: component.NewEtcd(sample),
			want:    []string{"--data-dir=/state/etcd", "--unsafe-no-fsync", "--listen-client-urls=http://127.0.0.1:1"},
		},
		"API server": {
			reason:  "asks for rights and keeps an audit log, as on a real cluster",
			process: component.NewAPIServer(sample),
			want: []string{
				"--authorization-mode=RBAC", "--audit-log-path=/state/logs/audit.log", "--etcd-servers=http://127.0.0.1:1",
				"--token-auth-file=/state/certs/tokens.csv",
			},
			never: []string{"--disable-admission-plugins=ServiceAccount"},
		},
		"API server alone": {
			reason:  "without controllers nobody makes the default service accounts that pods need",
			process: component.NewAPIServer(bare),
			want:    []string{"--disable-admission-plugins=ServiceAccount"},
		},
		"controller manager": {
			reason:  "signs with the key that the API server trusts, each controller under its own name",
			process: component.NewControllerManager(sample),
			want: []string{
				"--service-account-private-key-file=/state/certs/sa.key", "--use-service-account-credentials=true",
				"--kubeconfig=/state/kubeconfig/kube-controller-manager.yaml", "--leader-elect=false",
			},
		},
		"kwok": {
			reason:  "plays by our stages",
			process: component.NewKWOK(sample),
			want:    []string{"--config=/state/stages.yaml", "--manage-all-nodes=true"},
		},
		"source-controller": {
			reason:  "serves its artifacts where the others look for them",
			process: component.NewSourceController(sample),
			want:    []string{"--storage-addr=127.0.0.1:8", "--storage-adv-addr=127.0.0.1:8", "--storage-path=/state/artifacts"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, arg := range c.want {
				if !slices.Contains(c.process.Args, arg) {
					t.Errorf("%s: no %s in %v", c.reason, arg, c.process.Args)
				}
			}
			for _, arg := range c.never {
				if slices.Contains(c.process.Args, arg) {
					t.Errorf("%s: %s in %v", c.reason, arg, c.process.Args)
				}
			}
		})
	}
}

func TestFluxFindsTheClusterThroughItsEnvironment(t *testing.T) {
	for _, p := range []component.Process{component.NewSourceController(sample), component.NewKustomizeController(sample)} {
		for _, want := range []string{"KUBECONFIG=/state/kubeconfig/" + p.Name + ".yaml", "RUNTIME_NAMESPACE=flux-system"} {
			if !slices.Contains(p.Env, want) {
				t.Errorf("%s has no %s in %v", p.Name, want, p.Env)
			}
		}
	}
}

func TestAssetsReplaceEtcdAndAPIServerOnly(t *testing.T) {
	c := sample
	c.Assets = "/assets"
	for _, p := range all(c) {
		want := "/bin/devplane/"
		if p.Name == component.Etcd || p.Name == component.APIServer {
			want = "/assets/"
		}
		if p.Path != want+p.Name {
			t.Errorf("%s is %s, want it in %s", p.Name, p.Path, want)
		}
	}
}

// TestLoopbackOnly checks that no component listens on other addresses: etcd has no authentication.
func TestLoopbackOnly(t *testing.T) {
	for _, p := range all(sample) {
		for _, arg := range p.Args {
			flag, value, _ := strings.Cut(arg, "=")
			listens := strings.HasSuffix(flag, "-addr") || strings.HasSuffix(flag, "-address") || strings.Contains(flag, "listen-")
			if listens && value != "" && value != "0" && !strings.Contains(value, "127.0.0.1") {
				t.Errorf("%s listens on more than loopback: %s", p.Name, arg)
			}
		}
	}
}
