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
	// mostAnswer and mostValues bound an answer, in bytes and in objects and lists, and answersAtOnce how many answers of one namespace are in
	// memory at the same time: whoever writes a query decides how much comes back.
	mostAnswer    = 2 << 20
	mostValues    = 50_000
	answersAtOnce = 4
	// longestQuote is how much of what Datadog says is wrong is told.
	longestQuote = 256
)

// account is the way to Datadog of one check.
type account struct {
	namespace, secret string
	site              v1alpha1.DatadogSite
	server            *url.URL
	// credentials is a hash of the keys and of where they are good for.
	credentials string
}

// account finds the way to Datadog of a check.
func (c *Checker) account(ctx context.Context, check *v1alpha1.HealthCheck) (account, error) {
	d := check.Spec.Datadog
	if d.APIKeyFrom == nil || d.APIKeyFrom.Name == "" {
		return account{}, errors.New("spec.datadog.apiKeyFrom is missing: name a Secret with the keys api-key and app-key")
	}
	a := account{namespace: check.Namespace, secret: d.APIKeyFrom.Name, site: cmp.Or(d.Site, defaultSite)}
	var err error
	if a.server, err = c.server(a.site); err != nil {
		return account{}, err
	}
	a.credentials = a.server.Host + "\x00" + a.namespace + "/" + a.secret
	// Where the Secret cannot be read there is nothing to remember, and who makes the request says why.
	if s, err := c.keys.Secret(ctx, types.NamespacedName{Namespace: a.namespace, Name: a.secret}); err == nil {
		a.credentials = hash(a.server.Host, string(s.Data[apiKey]), string(s.Data[appKey]))
	}
	return a, nil
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// known finds the server of a site among those that Datadog's client knows.
func (c *Checker) known(site v1alpha1.DatadogSite) (*url.URL, error) {
	address, err := c.config.Servers.URL(0, map[string]string{"site": string(site)})
	if err != nil {
		return nil, fmt.Errorf("%q is not a site of Datadog", version.Clean(string(site), 64))
	}
	return url.Parse(address)
}

// request is one question, and how it is put.
type request struct {
	question
	// needs is the permission that the application key needs.
	needs string
	// about is what a 404 says does not exist.
	about string
	// keep is how long the answer counts.
	keep time.Duration
	// put asks, and takes from the answer what counts.
	put func(ctx context.Context, api *datadog.APIClient) (answer, *http.Response, error)
}

// ask puts a question to Datadog, or takes the answer that somebody else has just got.
func (c *Checker) ask(ctx context.Context, a account, now time.Time, r request) (answer, error) {
	r.server, r.credentials = a.server.Host, a.credentials
	return c.desk.ask(ctx, r.question, now, r.keep, func() (answer, error) {
		done, err := c.slots.Take(ctx, a.namespace)
		if err != nil {
			return answer{}, fmt.Errorf("asking %s: %w", a.server.Host, outbound.Cause(ctx, err))
		}
		defer done()
		httpClient, redactor, err := c.out.HTTPClient(ctx, a.namespace, outbound.Access{
			Host: a.server.Host, HeadersFrom: a.headers(), MaxBody: mostAnswer, MaxValues: mostValues,
		})
		if err != nil {
			return answer{}, err
		}
		got, resp, err := r.put(ctx, c.api(a, httpClient)) //nolint:bodyclose // the client has read it into memory, and closed it
		if err = a.explain(ctx, r, resp, err, redactor, now); err != nil {
			return answer{}, err
		}
		return got.redact(redactor), nil
	})
}

// headers are added on the way, where it is seen to that the Secret may go there.
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

// explain says what went wrong, in words of ours but for what Datadog says of a query.
func (a account) explain(ctx context.Context, r request, resp *http.Response, err error, redactor *outbound.Redactor, now time.Time) error {
	if resp != nil && resp.StatusCode >= http.StatusMultipleChoices {
		return a.refused(r, resp, err, redactor, now)
	}
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // the connection may notice a moment sooner that time is up
	}
	switch cause := outbound.Cause(ctx, err); {
	case err == nil:
		return nil
	case cause != nil:
		return fmt.Errorf("asking %s: %w", a.server.Host, cause)
	case resp == nil:
		return fmt.Errorf("asking %s: no answer", a.server.Host)
	}
	var plain *complaint
	if errors.As(err, &plain) {
		return errors.New(redactor.Text(plain.message))
	}
	return fmt.Errorf("the answer of %s cannot be read: it is not what Datadog's API describes", a.server.Host)
}

// refused says what a status code means.
func (a account) refused(r request, resp *http.Response, err error, redactor *outbound.Redactor, now time.Time) error {
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests:
		return &limited{wait: patience(resp.Header, now)}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("Datadog refuses the keys of Secret %s (%d): both have to be of %s, and the application key needs the permission %s", //nolint:staticcheck // a name
			a.secret, code, a.site, r.needs)
	case code == http.StatusNotFound && r.about != "":
		return fmt.Errorf("%s does not exist", r.about)
	case code == http.StatusBadRequest:
		return fmt.Errorf("Datadog refuses the question%s", said(err, redactor)) //nolint:staticcheck // a name
	default:
		return fmt.Errorf("%s answered %d", a.server.Host, code)
	}
}

// said is what Datadog says is wrong with a question.
func said(err error, redactor *outbound.Redactor) string {
	var e datadog.GenericOpenAPIError
	if !errors.As(err, &e) {
		return ""
	}
	model, ok := e.ErrorModel.(datadogV1.APIErrorResponse)
	if !ok || len(model.Errors) == 0 {
		return ""
	}
	return ": " + version.Clean(redactor.Text(few(model.Errors, "; ")), longestQuote)
}

// complaint is an answer that is no use although it can be read.
type complaint struct{ message string }

// Error implements error.
func (c *complaint) Error() string { return c.message }

var errUnreadable = errors.New("not what was asked for")

// begins makes sure that there is an answer of the kind that was asked for: to the client, nothing at all is an empty list.
func begins(resp *http.Response, with byte) error {
	body, err := io.ReadAll(resp.Body) // it is in memory
	if err != nil {
		return err
	}
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != with {
		return errUnreadable
	}
	return nil
}

// redact takes secrets out of what is quoted.
func (a answer) redact(r *outbound.Redactor) answer {
	for i := range a.findings {
		a.findings[i].message = r.Text(a.findings[i].message)
	}
	for i := range a.series {
		a.series[i].Scope = r.Text(a.series[i].Scope)
	}
	return a
}
