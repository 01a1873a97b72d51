package datadog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/buildinfo"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	apiKey = "api-key"
	appKey = "app-key"

	defaultSite = "datadoghq.com"
	// maxBody and maxValues limit a response in bytes, and in objects and lists. The size of a response depends on the
	// query of a user.
	maxBody   = 2 << 20
	maxValues = 50_000
	// responsesPerNamespace is the number of responses for one namespace that are in memory concurrently.
	responsesPerNamespace = 4
	// maxQuotedLength limits error messages of Datadog in a message, in bytes.
	maxQuotedLength = 256
)

// account is the Datadog site and the keys of a check.
type account struct {
	namespace, secret string
	site              v1alpha1.DatadogSite
	server            *url.URL
	// credentials is a hash of the keys and the server.
	credentials string
}

// account returns the account of a check.
func (c *Checker) account(ctx context.Context, check *v1alpha1.HealthCheck) (account, error) {
	d := check.Spec.Datadog
	if d.SecretRef == nil || d.SecretRef.Name == "" {
		return account{}, errors.New("spec.datadog.secretRef is missing: name a Secret with the keys api-key and app-key")
	}
	a := account{namespace: check.Namespace, secret: d.SecretRef.Name, site: cmp.Or(d.Site, defaultSite)}
	var err error
	if a.server, err = c.server(a.site); err != nil {
		return account{}, err
	}
	a.credentials = a.server.Host + "\x00" + a.namespace + "/" + a.secret
	// A missing Secret is reported by the request itself. Responses are then cached by the name of the Secret.
	if s, err := c.keys.Secret(ctx, types.NamespacedName{Namespace: a.namespace, Name: a.secret}); err == nil {
		a.credentials = hash(a.server.Host, string(s.Data[apiKey]), string(s.Data[appKey]))
	}
	return a, nil
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// siteURL returns the URL of the API of a site. It returns an error if the client library does not know the site.
func (c *Checker) siteURL(site v1alpha1.DatadogSite) (*url.URL, error) {
	address, err := c.config.Servers.URL(0, map[string]string{"site": string(site)})
	if err != nil {
		return nil, fmt.Errorf("%q is not a Datadog site", version.Clean(string(site), 64))
	}
	return url.Parse(address)
}

// request describes a request to Datadog.
type request struct {
	queryKey
	// permission is the permission that the application key needs.
	permission string
	// resource is the name of the resource that does not exist if the status is 404.
	resource string
	// ttl is how long the result is cached.
	ttl time.Duration
	// do makes the request and parses the response.
	do func(ctx context.Context, api *datadog.APIClient) (queryResult, *http.Response, error)
}

// send makes a request, or returns the cached result of the same request.
func (c *Checker) send(ctx context.Context, a account, now time.Time, r request) (queryResult, error) {
	r.namespace, r.server, r.credentials = a.namespace, a.server.Host, a.credentials
	return c.cache.get(ctx, r.queryKey, now, r.ttl, func() (queryResult, error) {
		release, err := c.slots.Take(ctx, a.namespace)
		if err != nil {
			return queryResult{}, fmt.Errorf("querying %s: %w", a.server.Host, outbound.Cause(ctx, err))
		}
		defer release()
		httpClient, redactor, err := c.out.HTTPClient(ctx, a.namespace, outbound.Access{
			Host: a.server.Host, HeadersFrom: a.headers(), MaxBody: maxBody, MaxValues: maxValues,
		})
		if err != nil {
			return queryResult{}, err
		}
		got, resp, err := r.do(ctx, c.api(a, httpClient)) //nolint:bodyclose // the client has closed it
		if err = a.toError(ctx, r, resp, err, redactor, now); err != nil {
			return queryResult{}, err
		}
		return got.redact(redactor), nil
	})
}

// headers returns the headers with the keys. The transport adds them if the Secret allows the host.
func (a account) headers() []v1alpha1.HeaderFrom {
	return []v1alpha1.HeaderFrom{
		{Header: "DD-API-KEY", SecretKeyRef: v1alpha1.KeyRef{Name: a.secret, Key: apiKey}},
		{Header: "DD-APPLICATION-KEY", SecretKeyRef: v1alpha1.KeyRef{Name: a.secret, Key: appKey}},
	}
}

func (c *Checker) api(a account, httpClient *http.Client) *datadog.APIClient {
	config := *c.config
	config.HTTPClient, config.UserAgent = httpClient, "kuberik/"+buildinfo.Version
	config.Servers = datadog.ServerConfigurations{{URL: a.server.String()}}
	return datadog.NewAPIClient(&config)
}

// toError returns the error of a request. Its text is ours, except for the error messages of Datadog about a query.
func (a account) toError(
	ctx context.Context, r request, resp *http.Response, err error, redactor *outbound.Redactor, now time.Time,
) error {
	if resp != nil && resp.StatusCode >= http.StatusMultipleChoices {
		return a.statusError(r, resp, err, redactor, now)
	}
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // the connection may time out slightly before the context
	}
	switch cause := outbound.Cause(ctx, err); {
	case err == nil:
		return nil
	case cause != nil:
		return fmt.Errorf("querying %s: %w", a.server.Host, cause)
	case resp == nil:
		return fmt.Errorf("querying %s: no response", a.server.Host)
	}
	var respErr *responseError
	if errors.As(err, &respErr) {
		return errors.New(redactor.Text(respErr.message))
	}
	return fmt.Errorf("the response of %s is not in the format of the Datadog API", a.server.Host)
}

// statusError returns the error for a status code.
func (a account) statusError(
	r request, resp *http.Response, err error, redactor *outbound.Redactor, now time.Time,
) error {
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		return &rateLimitError{wait: retryAfter(resp.Header, now)}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("Datadog rejected the keys of Secret %s with status %d: "+ //nolint:staticcheck // a name
			"use keys of the site %s and an application key with the permission %s", a.secret, code, a.site, r.permission)
	case code == http.StatusNotFound && r.resource != "":
		return fmt.Errorf("%s does not exist", r.resource)
	case code == http.StatusBadRequest:
		return fmt.Errorf("Datadog rejected the request%s", errorDetails(err, redactor)) //nolint:staticcheck // a name
	default:
		return fmt.Errorf("%s returned status %d", a.server.Host, code)
	}
}

// errorDetails returns the error messages of a response, or "".
func errorDetails(err error, redactor *outbound.Redactor) string {
	var e datadog.GenericOpenAPIError
	if !errors.As(err, &e) {
		return ""
	}
	model, ok := e.ErrorModel.(datadogV1.APIErrorResponse)
	if !ok || len(model.Errors) == 0 {
		return ""
	}
	return ": " + version.Clean(redactor.Text(joinFirst(model.Errors, "; ")), maxQuotedLength)
}

// responseError is an error in a response that has the right format.
type responseError struct{ message string }

// Error implements error.
func (c *responseError) Error() string { return c.message }

var errFormat = errors.New("unexpected format")

// checkBody returns an error if a body does not start with a character. The client library accepts an empty body as an
// empty list.
func checkBody(resp *http.Response, with byte) error {
	body, err := io.ReadAll(resp.Body) // the client has read it into memory
	if err != nil {
		return err
	}
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != with {
		return errFormat
	}
	return nil
}

// redact removes secrets from the texts of a result.
func (a queryResult) redact(r *outbound.Redactor) queryResult {
	for i := range a.reports {
		a.reports[i].message = r.Text(a.reports[i].message)
	}
	for i := range a.series {
		a.series[i].Scope = r.Text(a.series[i].Scope)
	}
	return a
}
