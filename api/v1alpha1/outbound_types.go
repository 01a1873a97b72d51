package v1alpha1

// AnnotationAllowedHosts on a Secret lists the hosts that its content may be sent to, separated by commas. A leading
// "*." stands for any one label. An entry allows https only, unless it is written as http://host:port. A Secret
// without the annotation is sent nowhere, because otherwise anybody who may write a check could read the Secret.
const AnnotationAllowedHosts = "kuberik.com/allowed-hosts"

// KeyRef names a key of a Secret or ConfigMap of the same namespace.
type KeyRef struct {
	// Name is the name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key is the key in its data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// HeaderFrom defines a header whose value comes from a Secret.
type HeaderFrom struct {
	// Header is the name of the header, such as Authorization.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,128}$`
	Header string `json:"header"`
	// Prefix is written before the value, such as "Bearer ". At most 64 characters. Defaults to none.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`
	// SecretKeyRef is the key of a Secret that holds the value. The Secret must allow the host, with the annotation
	// kuberik.com/allowed-hosts.
	SecretKeyRef KeyRef `json:"secretKeyRef"`
}

// CAFrom defines where the certificates of an authority are read from, in PEM.
// +kubebuilder:validation:XValidation:rule="has(self.configMapKeyRef) != has(self.secretKeyRef)",message="name either a configMapKeyRef or a secretKeyRef"
type CAFrom struct {
	// ConfigMapKeyRef is a key of a ConfigMap in the same namespace.
	// +optional
	ConfigMapKeyRef *KeyRef `json:"configMapKeyRef,omitempty"`
	// SecretKeyRef is a key of a Secret in the same namespace.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`
}

// TLS defines how the certificate of a server is verified.
type TLS struct {
	// CAFrom defines the certificate authorities. Defaults to those of the system.
	// +optional
	CAFrom *CAFrom `json:"caFrom,omitempty"`
	// ServerName is the name that the certificate must be valid for. Defaults to the host of the URL.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// HTTPRequest defines a request that the controller makes.
type HTTPRequest struct {
	// URL is the URL to call, http or https. Loopback and link-local addresses and metadata services are refused unless
	// the controller allows them.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as https://hello.default.svc/healthz"
	URL string `json:"url"`
	// Method is GET, HEAD, POST or PUT. Defaults to GET.
	// +optional
	// +kubebuilder:default=GET
	// +kubebuilder:validation:Enum=GET;HEAD;POST;PUT
	Method string `json:"method,omitempty"`
	// Headers to send. At most 32, each with a name of at most 128 characters and a value of at most 2048.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 128 && size(self[k]) <= 2048)",message="a header has a name of at most 128 characters and a value of at most 2048"
	Headers map[string]string `json:"headers,omitempty"`
	// HeadersFrom lists headers whose values come from Secrets. At most 8.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	HeadersFrom []HeaderFrom `json:"headersFrom,omitempty"`
	// Body to send. At most 65536 characters. Defaults to none.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Body string `json:"body,omitempty"`
	// TLS defines how the certificate of the server is verified.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
	// FollowRedirects follows up to three redirects to the same host. Defaults to false: a redirect is treated like any
	// other response.
	// +optional
	FollowRedirects bool `json:"followRedirects,omitempty"`
}
