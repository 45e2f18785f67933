package httpapi

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cohort-iot/cohort/cose"
)

// algorithmNumbers holds the ranges of the COSE registry in which the
// algorithms lie that this module knows.
var algorithmNumbers = [][2]cose.Algorithm{{-65534, -65529}, {-60, 40}}

// algorithm is a COSE algorithm on the wire: its registered name, or a number
// for what has no name here. Both are accepted; a name in any case.
type algorithm cose.Algorithm

// MarshalText gives the name.
func (a algorithm) MarshalText() ([]byte, error) {
	if a == 0 {
		return nil, nil
	}
	return []byte(cose.Algorithm(a).String()), nil
}

// UnmarshalText takes a name or a number.
func (a *algorithm) UnmarshalText(text []byte) error {
	v := string(text)
	if v == "" {
		*a = 0
		return nil
	}
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		*a = algorithm(n)
		return nil
	}
	for _, r := range algorithmNumbers {
		for n := r[0]; n <= r[1]; n++ {
			if n != 0 && strings.EqualFold(n.String(), v) {
				*a = algorithm(n)
				return nil
			}
		}
	}
	return fmt.Errorf("%q is no COSE algorithm known here", v)
}

// String gives the name, or "-" for none.
func (a algorithm) String() string {
	if a == 0 {
		return "-"
	}
	return cose.Algorithm(a).String()
}
