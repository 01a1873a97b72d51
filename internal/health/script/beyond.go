package script

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/internal/version"
)

// wish is something that a pod may ask for.
type wish struct {
	name  string
	asked bool
}

func first(wishes ...wish) string {
	for _, w := range wishes {
		if w.asked {
			return w.name
		}
	}
	return ""
}

// beyond is what a pod asks for that reaches beyond its namespace: what the baseline Pod Security Standard refuses, except for
// sysctls, of which the kubelet takes the harmless ones only.
func beyond(t *corev1.PodTemplateSpec) string {
	pod, sc := &t.Spec, t.Spec.SecurityContext
	if sc == nil {
		sc = &corev1.PodSecurityContext{}
	}
	asks := first(
		wish{"hostNetwork", pod.HostNetwork}, wish{"hostPID", pod.HostPID}, wish{"hostIPC", pod.HostIPC},
		wish{"a hostPath volume", slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil })},
		wish{"a nodeName", pod.NodeName != ""},
		wish{"the priority of the system", strings.HasPrefix(pod.PriorityClassName, "system-")},
		wish{"hostProcess", hostProcess(sc.WindowsOptions)},
		wish{"an unconfined profile", unconfined(sc.SeccompProfile, sc.AppArmorProfile) || annotated(t.Annotations)},
		wish{"an SELinux label of its own", relabelled(sc.SELinuxOptions)},
	)
	for _, list := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range list {
			if asks == "" {
				asks = beyondContainer(&list[i])
			}
		}
	}
	return asks
}

func beyondContainer(c *corev1.Container) string {
	sc := c.SecurityContext
	if sc == nil {
		sc = &corev1.SecurityContext{}
	}
	return first(
		wish{"a hostPort", slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 })},
		wish{"a probe or a hook of another host", slices.ContainsFunc(handlers(c), elsewhere)},
		wish{"a privileged container", sc.Privileged != nil && *sc.Privileged},
		wish{"an unmasked /proc", sc.ProcMount != nil && *sc.ProcMount != corev1.DefaultProcMount},
		wish{"hostProcess", hostProcess(sc.WindowsOptions)},
		wish{"an unconfined profile", unconfined(sc.SeccompProfile, sc.AppArmorProfile)},
		wish{"an SELinux label of its own", relabelled(sc.SELinuxOptions)},
		capability(sc.Capabilities),
	)
}

// handlers lists what the kubelet calls for a container: it stands in the network of the node.
func handlers(c *corev1.Container) (list []corev1.LifecycleHandler) {
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p != nil {
			list = append(list, corev1.LifecycleHandler{HTTPGet: p.HTTPGet, TCPSocket: p.TCPSocket})
		}
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				list = append(list, *h)
			}
		}
	}
	return list
}

// elsewhere says whether a handler names a host. Without one the kubelet calls the pod itself.
func elsewhere(h corev1.LifecycleHandler) bool {
	return h.HTTPGet != nil && h.HTTPGet.Host != "" || h.TCPSocket != nil && h.TCPSocket.Host != ""
}

// harmless are the capabilities that the baseline Pod Security Standard lets a container add.
var harmless = []corev1.Capability{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
	"SETUID", "SYS_CHROOT",
}

func capability(c *corev1.Capabilities) wish {
	if c == nil {
		return wish{}
	}
	for _, added := range c.Add {
		if !slices.Contains(harmless, added) {
			return wish{"the capability " + version.Clean(string(added), maxCause), true}
		}
	}
	return wish{}
}

func hostProcess(w *corev1.WindowsSecurityContextOptions) bool {
	return w != nil && w.HostProcess != nil && *w.HostProcess
}

func unconfined(seccomp *corev1.SeccompProfile, apparmor *corev1.AppArmorProfile) bool {
	return seccomp != nil && seccomp.Type == corev1.SeccompProfileTypeUnconfined ||
		apparmor != nil && apparmor.Type == corev1.AppArmorProfileTypeUnconfined
}

// annotated is the old way to ask for an unconfined profile.
func annotated(annotations map[string]string) bool {
	for key, value := range annotations {
		if strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix) &&
			value == corev1.DeprecatedAppArmorBetaProfileNameUnconfined {
			return true
		}
	}
	return false
}

func relabelled(o *corev1.SELinuxOptions) bool {
	usual := []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
	return o != nil && (o.User != "" || o.Role != "" || !slices.Contains(usual, o.Type))
}
