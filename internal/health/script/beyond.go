package script

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/kuberik/kuberik/internal/version"
)

// standards are the Pod Security Standards, as Kubernetes itself checks them.
var standards = sync.OnceValues(func() (policy.Evaluator, error) {
	return policy.NewEvaluator(policy.DefaultChecks(), nil)
})

// checkConfined returns an error if a pod reaches beyond its namespace: if the baseline Pod Security Standard denies
// it, if it names a node, or if it has a system priority.
func checkConfined(t *corev1.PodTemplateSpec) error {
	evaluator, err := standards()
	if err != nil {
		return fmt.Errorf("preparing the Pod Security Standards: %w", err)
	}
	baseline := api.LevelVersion{Level: api.LevelBaseline, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(baseline, &t.ObjectMeta, &t.Spec))
	violation := result.ForbiddenDetail()
	switch {
	case !result.Allowed:
	case t.Spec.NodeName != "":
		violation = "nodeName"
	case strings.HasPrefix(t.Spec.PriorityClassName, "system-"):
		violation = "priorityClassName " + t.Spec.PriorityClassName
	default:
		return nil
	}
	return errors.New("the pod reaches beyond its namespace: " + version.Clean(violation, maxCause))
}
