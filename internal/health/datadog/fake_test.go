package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	theAPIKey = "api-key-that-nobody-may-see"
	theAppKey = "app-key-that-nobody-may-see"
)

var now = time.Date(2025, 11, 22, 10, 0, 0, 0, time.UTC)

// fake is a Datadog. It answers only who asks as its API describes.
type fake struct {
	*testing.T
	*Checker
	url   *url.URL
	mu    sync.Mutex
	asked []*http.Request
	// answer is how it answers.
	answer  http.HandlerFunc
	secrets map[types.NamespacedName]*corev1.Secret
	objects map[string]*unstructured.Unstructured
	objErr  error
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{T: t, secrets: map[types.NamespacedName]*corev1.Secret{}, objects: map[string]*unstructured.Unstructured{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	var err error
	if f.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	f.secret("shop", "datadog", theAPIKey, theAppKey)
	out := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Keys: f,
	})
	t.Cleanup(out.Close)
	f.Checker = New(f, out, f)
	f.server = func(v1alpha1.DatadogSite) (*url.URL, error) { return f.url, nil }
	return f
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	answer := f.answer
	f.mu.Unlock()
	if r.Method != http.MethodGet || r.Header.Get("DD-API-KEY") == "" || r.Header.Get("DD-APPLICATION-KEY") == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer(w, r)
}

// requests is how often it was asked.
func (f *fake) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fake) secret(namespace, name, api, app string) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationAllowedHosts: f.url.String()}},
		Data:       map[string][]byte{"api-key": []byte(api), "app-key": []byte(app)},
	}
	f.secrets[types.NamespacedName{Namespace: namespace, Name: name}] = s
	return s
}

// Secret implements outbound.Keys.
func (f *fake) Secret(_ context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	if s, ok := f.secrets[key]; ok {
		return s, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
}

// ConfigMap implements outbound.Keys.
func (f *fake) ConfigMap(context.Context, types.NamespacedName) (*corev1.ConfigMap, error) {
	return nil, errors.New("nobody should ask")
}

// Get implements client.Reader.
func (f *fake) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if f.objErr != nil {
		return f.objErr
	}
	u, ok := o.(*unstructured.Unstructured)
	have, exists := f.objects[key.String()]
	if !ok || u.GroupVersionKind() != MonitorKind || !exists {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "datadogmonitors"}, key.Name)
	}
	have.DeepCopyInto(u)
	return nil
}

// List implements client.Reader.
func (f *fake) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nobody should list")
}

// says makes the Datadog answer with what its own client would send.
func (f *fake) says(answer any) {
	f.with(func(w http.ResponseWriter, _ *http.Request) { f.write(w, answer) })
}

func (f *fake) with(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fake) write(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	if text, ok := answer.(string); ok {
		w.Write([]byte(text))
		return
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		f.Error(err)
	}
}

// fails makes the Datadog answer with an error, as its API describes errors. It repeats the keys, to see whether they are told.
func (f *fake) fails(code int, headers ...string) {
	f.with(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		f.write(w, datadogV1.NewAPIErrorResponse([]string{"no good: " + r.Header.Get("DD-API-KEY") + " " + r.Header.Get("DD-APPLICATION-KEY")}))
	})
}

// subject is a check of the Datadog.
func subject(d v1alpha1.DatadogCheck) health.Subject {
	if d.MonitorRef == nil && d.APIKeyFrom == nil {
		d.APIKeyFrom = &corev1.LocalObjectReference{Name: "datadog"}
	}
	class := v1alpha1.HealthClassDatadog
	return health.Subject{Now: now, Check: &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "check"},
		Spec:       v1alpha1.HealthCheckSpec{Class: &class, Datadog: &d},
	}}
}

func byID() v1alpha1.DatadogCheck {
	id := int64(123)
	return v1alpha1.DatadogCheck{MonitorID: &id}
}

func byTags(tags ...string) v1alpha1.DatadogCheck { return v1alpha1.DatadogCheck{MonitorTags: tags} }

func byQuery(success string) v1alpha1.DatadogCheck {
	return v1alpha1.DatadogCheck{Query: "avg:trace.http.request.errors{service:hello} by {env}", Success: success}
}

// monitorIs is a monitor as Datadog describes it.
func monitorIs(id int64, state datadogV1.MonitorOverallStates, edit ...func(*datadogV1.Monitor)) datadogV1.Monitor {
	m := datadogV1.NewMonitor("avg(last_5m):avg:trace.http.request.errors{service:hello} > 1", datadogV1.MONITORTYPE_QUERY_ALERT)
	m.SetId(id)
	m.SetName("errors of hello")
	m.SetOverallState(state)
	m.SetMulti(true)
	for _, e := range edit {
		e(m)
	}
	return *m
}

// graph is an answer to a query as Datadog describes it.
func graph(list ...datadogV1.MetricsQueryMetadata) datadogV1.MetricsQueryResponse {
	r := datadogV1.NewMetricsQueryResponse()
	r.SetStatus("ok")
	r.SetResType("time_series")
	r.SetSeries(append([]datadogV1.MetricsQueryMetadata{}, list...))
	return *r
}

// seriesOf has points twenty seconds apart, up to now. One that is not a number is missing.
func seriesOf(scope string, values ...any) datadogV1.MetricsQueryMetadata {
	m := datadogV1.NewMetricsQueryMetadata()
	m.SetMetric("trace.http.request.errors")
	m.SetScope(scope)
	var points [][]*float64
	for i, v := range values {
		at := float64(now.Add(time.Duration(i-len(values)) * 20 * time.Second).UnixMilli())
		point := []*float64{&at, nil}
		if number, ok := v.(float64); ok {
			point[1] = &number
		}
		points = append(points, point)
	}
	m.SetPointlist(points)
	return *m
}
