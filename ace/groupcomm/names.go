package groupcomm

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// appendNames appends the id of an info entry: the name of the one group it is about, or an array of several.
func appendNames(dst []byte, names []string) []byte {
	if len(names) == 1 {
		return cborx.AppendText(dst, names[0])
	}
	return wire.AppendArrayOf(dst, names, cborx.AppendText)
}

func parseNames(item []byte) ([]string, error) {
	if wire.IsText(item) {
		name, err := wire.Text(item)
		return []string{name}, err
	}
	names, err := wire.ArrayOf(item, wire.Text)
	if err == nil && (len(names) == 0 || len(names) > maxInfo) {
		err = fmt.Errorf("%w: an entry about %d groups", ErrMalformed, len(names))
	}
	return names, err
}

// parseInfo reads the non-empty array of entries that sign_info, ecdh_info and kdc_dh_creds are.
func parseInfo[T any](item []byte, entry func([]byte) (T, error)) ([]T, error) {
	list, err := wire.ArrayOf(item, entry)
	if err == nil && (len(list) == 0 || len(list) > maxInfo) {
		err = fmt.Errorf("%w: %d entries", ErrMalformed, len(list))
	}
	return list, err
}

// fields splits an entry into exactly n elements.
func fields(item []byte, n int) ([][]byte, error) {
	e, err := wire.Array(item)
	if err == nil && len(e) != n {
		err = fmt.Errorf("%w: an entry of %d elements, not %d", ErrMalformed, len(e), n)
	}
	return e, err
}
