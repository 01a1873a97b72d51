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
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	testAPIKey = "secret-api-key"
	testAppKey = "secret-app-key"
)

var now = time.Date(2025, 11, 22, 10, 0, 0, 0, time.UTC)

// fake is a fake Datadog API. It accepts only requests with both keys.
type fake struct {
	*testing.T
	*Checker
	url      *url.URL
	mu       sync.Mutex
	received []*http.Request
	// handler handles requests.
	handler http.HandlerFunc
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
	f.secret("shop", "datadog", testAPIKey, testAppKey)
	out := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Keys: f,
	})
	t.Cleanup(out.Close)
	f.Checker = New(f, out, f, expr.NewCache(8<<20, 8<<20))
	f.server = func(v1alpha1.DatadogSite) (*url.URL, error) { return f.url, nil }
	return f
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.received = append(f.received, r)
	handler := f.handler
	f.mu.Unlock()
	if r.Method != http.MethodGet || r.Header.Get("DD-API-KEY") == "" || r.Header.Get("DD-APPLICATION-KEY") == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	handler(w, r)
}

// requests returns the number of requests.
func (f *fake) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.received)
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
	return nil, errors.New("unexpected call")
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
	return errors.New("unexpected call")
}

// respondWith sets the response: JSON text, or a value of the client library.
func (f *fake) respondWith(answer any) {
	f.handle(func(w http.ResponseWriter, _ *http.Request) { f.write(w, answer) })
}

func (f *fake) handle(handler http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = handler
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

// respondWithStatus sets an error response in the format of the API. Its message contains the keys.
func (f *fake) respondWithStatus(code int, headers ...string) {
	f.handle(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		f.write(
			w,
			datadogV1.NewAPIErrorResponse([]string{
				"no good: " + r.Header.Get("DD-API-KEY") + " " + r.Header.Get("DD-APPLICATION-KEY"),
			}),
		)
	})
}

// subject returns a subject with a check.
func subject(d v1alpha1.DatadogCheck) health.CheckInput {
	if d.MonitorRef == nil && d.SecretRef == nil {
		d.SecretRef = &corev1.LocalObjectReference{Name: "datadog"}
	}
	class := v1alpha1.HealthClassDatadog
	return health.CheckInput{Now: now, Check: &v1alpha1.HealthCheck{
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

// newMonitor returns a monitor with a state.
func newMonitor(id int64, state datadogV1.MonitorOverallStates, edit ...func(*datadogV1.Monitor)) datadogV1.Monitor {
	m := datadogV1.NewMonitor(
		"avg(last_5m):avg:trace.http.request.errors{service:hello} > 1", datadogV1.MONITORTYPE_QUERY_ALERT,
	)
	m.SetId(id)
	m.SetName("errors of hello")
	m.SetOverallState(state)
	m.SetMulti(true)
	for _, e := range edit {
		e(m)
	}
	return *m
}

// queryResponse returns the response to a query.
func queryResponse(list ...datadogV1.MetricsQueryMetadata) datadogV1.MetricsQueryResponse {
	r := datadogV1.NewMetricsQueryResponse()
	r.SetStatus("ok")
	r.SetResType("time_series")
	r.SetSeries(append([]datadogV1.MetricsQueryMetadata{}, list...))
	return *r
}

// newSeries returns a series with points twenty seconds apart, up to now. A value that is not a number is null.
func newSeries(scope string, values ...any) datadogV1.MetricsQueryMetadata {
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
