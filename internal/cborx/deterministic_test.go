package cborx

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestDeterministic(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"00": true, "17": true, "1818": true, "1817": false, "190100": true, "1900ff": false, "1a00010000": true, "1a0000ffff": false,
		"1b0000000100000000": true, "1b00000000ffffffff": false, "20": true, "3817": false,
		"40": true, "5800": false, "6161": true, "780161": false, "80": true, "9800": false, "81 1800": false, "d83d 40": true, "d93d 40": false, "d9003d 40": false,
		"a2 01 00 02 00": true, "a2 02 00 01 00": false, "a2 20 00 01 00": false, "a2 01 00 20 00": true, "a1 1801 00": false, "a1 01 1800": false,
		"f4": true, "f7": true, "f8ff": true, "f93c00": true, "fa3f800000": false, "fa47c35000": true, "fb3ff0000000000000": false, "fb3ff199999999999a": true,
		"f97e00": true, "fa7fc00000": false, "fb7ff8000000000000": false, "f97c00": true, "fa7f800000": false, "fb7ff0000000000000": false,
		"fa00000000": false, "fa33800000": false, "fa33000000": true, "fa477fe000": false, "fa47800000": true, "fa38800000": false, "fa38801000": true, "fa33c00000": true,
		"": false, "00 00": false, "bf ff": false, "a2 01 00 01 00": false,
	} {
		t.Run(in, func(t *testing.T) {
			if err := Deterministic(unhex(t, in)); (err == nil) != ok || err != nil && !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
		})
	}
	t.Run("what Marshal makes is deterministic", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			v := map[any]any{
				rapid.Int64().Draw(t, "key"):  rapid.Float64().Draw(t, "double"),
				rapid.String().Draw(t, "key"): []any{rapid.Float32().Draw(t, "float"), rapid.Int64().Draw(t, "int"), rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")},
			}
			b, err := Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := Deterministic(b); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		})
	})
}

func FuzzDeterministic(f *testing.F) {
	for _, in := range accepted {
		f.Add(unhex(f, in))
	}
	f.Add(unhex(f, "fa33800000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Deterministic(b) != nil {
			return
		}
		var v any
		if Unmarshal(b, &v) != nil {
			return // numbers beyond int64, tags of time and bignum
		}
		if again, err := Marshal(v); err == nil && !bytes.Equal(again, b) && !bytes.ContainsAny(b, "\xc0\xc1\xc2\xc3\xfb\xfa\xf9\xf7") {
			t.Fatalf("%x becomes %x", b, again)
		}
	})
}
