package v1alpha1

import (
	"fmt"
	"time"
)

// MaxDuration bounds every duration of this API: one year.
const MaxDuration = 8760 * time.Hour

// Duration is a length of time such as "90s", "15m" or "1h30m", at most one year.
//
// It is text and not a parsed value on purpose: one object with an undecodable duration would otherwise make every list of
// its kind fail (CVE-2022-39272 was that, in Flux). The schema refuses such text; an object that was stored under an older
// schema stalls alone.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="write a duration of at most one year, such as 90s, 15m or 1h30m"
type Duration string

// Parse gives the duration as a value. It fails for what the schema would refuse.
func (d Duration) Parse() (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 || v > MaxDuration {
		return 0, fmt.Errorf("%q is not a duration of at most one year; write for example 90s, 15m or 1h30m", string(d))
	}
	return v, nil
}
