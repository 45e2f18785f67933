package keystore

import (
	"slices"
	"strings"
)

// overlay holds changes that are not durable yet; a nil value is a deletion.
type overlay map[Name][]byte

// layers are overlays over the backend, the newest first.
type layers []overlay

// get returns the newest change of n.
func (l layers) get(n Name) (value []byte, ok bool) {
	for _, o := range l {
		if v, ok := o[n]; ok {
			return v, true
		}
	}
	return nil, false
}

// names returns the changed names that a scan would meet, in order.
func (l layers) names(prefix, after Name) []Name {
	var out []Name
	for _, o := range l {
		for n := range o {
			if n > after && strings.HasPrefix(string(n), string(prefix)) {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
