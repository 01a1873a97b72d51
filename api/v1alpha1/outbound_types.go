package v1alpha1

// AnnotationAllowedHosts on a Secret lists, with commas between them, the hosts that its content may be sent to; a leading "*."
// stands for any one label. An entry allows https only, unless it is written as http://host:port. A Secret without the annotation is sent
// nowhere: otherwise whoever may write a check could read it.
const AnnotationAllowedHosts = "kuberik.com/allowed-hosts"

// KeyRef names a key of a Secret or ConfigMap of the same namespace.
type KeyRef struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key in it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// HeaderFrom takes the value of a header from a Secret.
type HeaderFrom struct {
	// Header name, such as Authorization.
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,128}$`
	Header string `json:"header"`
	// Prefix before the value, such as "Bearer ".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`
	// SecretKeyRef is where the value is. The Secret has to allow the host, with the annotation kuberik.com/allowed-hosts.
	SecretKeyRef KeyRef `json:"secretKeyRef"`
}

// CAFrom is where the certificates of an authority are, as PEM.
// +kubebuilder:validation:XValidation:rule="has(self.configMapKeyRef) != has(self.secretKeyRef)",message="name either a configMapKeyRef or a secretKeyRef"
type CAFrom struct {
	// ConfigMapKeyRef in the same namespace.
	// +optional
	ConfigMapKeyRef *KeyRef `json:"configMapKeyRef,omitempty"`
	// SecretKeyRef in the same namespace.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`
}

// TLS says how the other side is known.
type TLS struct {
	// CAFrom replaces the authorities of the system.
	// +optional
	CAFrom *CAFrom `json:"caFrom,omitempty"`
	// ServerName that the certificate has to be for. Default: the host of the URL.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// HTTPRequest is a request that the controller makes.
type HTTPRequest struct {
	// URL to ask, http or https. Addresses of this machine, of the link and of metadata services are refused unless the
	// controller allows them.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as https://hello.default.svc/healthz"
	URL string `json:"url"`
	// Method. Default GET.
	// +optional
	// +kubebuilder:default=GET
	// +kubebuilder:validation:Enum=GET;HEAD;POST;PUT
	Method string `json:"method,omitempty"`
	// Headers to send.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Headers map[string]string `json:"headers,omitempty"`
	// HeadersFrom are headers whose values are secret.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	HeadersFrom []HeaderFrom `json:"headersFrom,omitempty"`
	// Body to send.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Body string `json:"body,omitempty"`
	// TLS says how the other side is known.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
	// FollowRedirects follows up to three redirects to the same host. Default: a redirect is an answer like any other.
	// +optional
	FollowRedirects bool `json:"followRedirects,omitempty"`
}
