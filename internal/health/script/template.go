package script

import (
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// fromTemplate returns the Job of a jobTemplate, with defaults. It returns an error for a pod that reaches beyond its
// namespace.
func fromTemplate(s *v1alpha1.ScriptCheck) (batchv1.JobTemplateSpec, error) {
	var t batchv1.JobTemplateSpec
	if field := conflictingField(s); field != "" {
		return t, fmt.Errorf("%s does not go with jobTemplate: write it into the template", field)
	}
	if err := decode(s.JobTemplate.Raw, &t); err != nil {
		return t, err
	}
	if t.Spec.Selector != nil || t.Spec.ManualSelector != nil {
		return t, errors.New("jobTemplate: leave out selector and manualSelector: Kubernetes writes them")
	}
	if err := checkConfined(&t.Spec.Template); err != nil {
		return t, fmt.Errorf("jobTemplate: %w", err)
	}
	pod := &t.Spec.Template.Spec
	if pod.RestartPolicy == "" {
		pod.RestartPolicy = corev1.RestartPolicyNever
	}
	if t.Spec.BackoffLimit == nil {
		t.Spec.BackoffLimit = new(int32(0))
		if t.Spec.PodFailurePolicy == nil && pod.RestartPolicy == corev1.RestartPolicyNever {
			t.Spec.PodFailurePolicy = failOnDisruption()
		}
	}
	if t.Spec.ActiveDeadlineSeconds == nil {
		t.Spec.ActiveDeadlineSeconds = new(int64(defaultDeadline.Seconds()))
	}
	return t, nil
}

// conflictingField returns a field that is set next to a jobTemplate and would have no effect.
func conflictingField(s *v1alpha1.ScriptCheck) string {
	given := []struct {
		name  string
		given bool
	}{
		{"image", s.Image != ""}, {"command", len(s.Command) > 0}, {"args", len(s.Args) > 0}, {"script", s.Script != ""},
		{"interpreter", s.Interpreter != ""}, {"env", len(s.Env) > 0}, {"serviceAccountName", s.ServiceAccountName != ""},
		{"resources", s.Resources != nil}, {"activeDeadline", s.ActiveDeadline != nil},
	}
	for _, f := range given {
		if f.given {
			return f.name
		}
	}
	return ""
}

// decode parses a template. It returns an error for unknown fields, because misspelt ones would have no effect.
func decode(raw []byte, t *batchv1.JobTemplateSpec) error {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("jobTemplate: %s", version.Clean(err.Error(), maxCause))
	}
	// The first reports fields of the wrong type, the second unknown fields.
	if err := json.Unmarshal(raw, t); err != nil {
		return fmt.Errorf("jobTemplate: %s", version.Clean(err.Error(), maxCause))
	}
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(fields, &batchv1.JobTemplateSpec{}, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		err = strict.Errors()[0]
	}
	if err != nil {
		return fmt.Errorf("jobTemplate: %s", version.Clean(err.Error(), maxCause))
	}
	return nil
}
