package v1alpha1

import (
	"fmt"
	"time"
)

// MaxDuration is the longest duration that this API accepts: one year.
const MaxDuration = 8760 * time.Hour

// Duration is a length of time such as "90s", "15m" or "1h30m". It is at most one year.
//
// It is text, not a parsed value, on purpose: a single object with a duration that cannot be decoded would otherwise
// make every list of its kind fail (CVE-2022-39272 was that, in Flux). The schema refuses such text, and an object
// that was stored under an older schema stalls alone. For the same reason the rule first checks that the text is
// short enough to be decoded: a rule that ends in an error, instead of false, would even prevent writes to the status
// of such an object.
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') && duration(self) <= duration('8760h')",message="write a duration of at most one year, such as 90s, 15m or 1h30m"
type Duration string

// Parse returns the duration as a value. It returns an error for text that the schema refuses.
func (d Duration) Parse() (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 || v > MaxDuration {
		return 0, fmt.Errorf("%q is not a duration of at most one year; write for example 90s, 15m or 1h30m", string(d))
	}
	return v, nil
}
