package outboundtest

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Keys holds Secrets and ConfigMaps. It is an outbound.Keys.
type Keys struct {
	mu         sync.Mutex
	secrets    map[types.NamespacedName]*corev1.Secret
	configMaps map[types.NamespacedName]*corev1.ConfigMap
}

// SetSecret stores a Secret that may be sent to some hosts, separated by commas; to none if that is empty.
func (k *Keys) SetSecret(namespace, name, hosts string, data map[string]string) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
	if hosts != "" {
		s.Annotations = map[string]string{v1alpha1.AnnotationAllowedHosts: hosts}
	}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secrets == nil {
		k.secrets = map[types.NamespacedName]*corev1.Secret{}
	}
	k.secrets[types.NamespacedName{Namespace: namespace, Name: name}] = s
}

// SetConfigMap stores a ConfigMap.
func (k *Keys) SetConfigMap(namespace, name string, data map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.configMaps == nil {
		k.configMaps = map[types.NamespacedName]*corev1.ConfigMap{}
	}
	k.configMaps[types.NamespacedName{Namespace: namespace, Name: name}] = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data,
	}
}

// Secret implements outbound.Keys.
func (k *Keys) Secret(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.secrets[key]; s != nil {
		return s.DeepCopy(), ctx.Err()
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
}

// ConfigMap implements outbound.Keys.
func (k *Keys) ConfigMap(ctx context.Context, key types.NamespacedName) (*corev1.ConfigMap, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.configMaps[key]; m != nil {
		return m.DeepCopy(), ctx.Err()
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
}
