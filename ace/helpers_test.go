package ace

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// unhex reads hex with blanks between groups.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func wantBytes(t *testing.T, got []byte, want string) {
	t.Helper()
	if !bytes.Equal(got, unhex(want)) {
		t.Fatalf("got  %x\nwant %x", got, unhex(want))
	}
}

// must takes the results of a call that cannot fail in this test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that wraps %q", err, want)
	}
}

// fuzzObject checks of any input: parsing never panics and changes nothing, its errors wrap one of faults, and what was parsed
// is parsed again from its own encoding, which is then the same byte by byte.
func fuzzObject[T any](f *testing.F, parse func([]byte) (T, error), marshal func(T) []byte, faults []error, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		keep := bytes.Clone(in)
		v, err := parse(in)
		if !bytes.Equal(in, keep) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			for _, fault := range faults {
				if errors.Is(err, fault) {
					return
				}
			}
			t.Fatalf("error %v of no known kind", err)
		}
		once := marshal(v)
		again, err := parse(once)
		if err != nil {
			t.Fatalf("own encoding %x of %x: %v", once, in, err)
		}
		if twice := marshal(again); !bytes.Equal(once, twice) {
			t.Fatalf("encodings differ: %x, %x", once, twice)
		}
	})
}
