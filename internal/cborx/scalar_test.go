package cborx

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func TestScalarsTakeTheirOwnTypeOnly(t *testing.T) {
	t.Parallel()
	items := []struct{ hex, kind string }{
		{"00", "uint int"}, {"1818", "uint int"}, {"1bffffffffffffffff", "uint"}, {"20", "int"}, {"3b7fffffffffffffff", "int"}, {"3bffffffffffffffff", ""},
		{"40", "bytes"}, {"420102", "bytes"}, {"60", "text"}, {"6161", "text"}, {"61ff", ""}, {"80", ""}, {"8101", ""}, {"a0", ""},
		{"f4", "bool"}, {"f5", "bool"}, {"f6", "null"}, {"f7", ""}, {"c140", ""}, {"", ""}, {"4201", ""}, {"42010203", ""}, {"0000", ""}, {"f4f4", ""},
	}
	for _, it := range items {
		t.Run(it.hex, func(t *testing.T) {
			b := unhex(t, it.hex)
			_, errBytes := Bytes(b)
			_, errText := Text(b)
			_, errInt := Int(b)
			_, errUint := Uint(b)
			_, errBool := Bool(b)
			kinds := ""
			for _, k := range []struct {
				name string
				ok   bool
			}{{"uint", errUint == nil}, {"int", errInt == nil}, {"bytes", errBytes == nil}, {"text", errText == nil}, {"bool", errBool == nil}, {"null", IsNull(b)}} {
				if k.ok {
					if kinds != "" {
						kinds += " "
					}
					kinds += k.name
				}
			}
			if kinds != it.kind {
				t.Errorf("taken as %q, want %q", kinds, it.kind)
			}
			for _, err := range []error{errBytes, errText, errInt, errUint, errBool} {
				if err != nil && !errors.Is(err, ErrMalformed) {
					t.Errorf("error %v does not wrap ErrMalformed", err)
				}
			}
		})
	}
}

func TestScalarValues(t *testing.T) {
	t.Parallel()
	if v, err := Int(unhex(t, "39fffd")); err != nil || v != -65534 {
		t.Errorf("Int: %d %v", v, err)
	}
	if v, err := Uint(unhex(t, "1b0000010000000000")); err != nil || v != 1<<40 {
		t.Errorf("Uint: %d %v", v, err)
	}
	if v, err := Bytes(unhex(t, "58020102")); err != nil || !bytes.Equal(v, []byte{1, 2}) {
		t.Errorf("Bytes: %x %v", v, err)
	}
	if v, err := Text(unhex(t, "63c3a961")); err != nil || v != "éa" {
		t.Errorf("Text: %q %v", v, err)
	}
	if v, err := Bool(unhex(t, "f5")); err != nil || !v {
		t.Errorf("Bool: %v %v", v, err)
	}
}

func TestCutTag(t *testing.T) {
	t.Parallel()
	num, content, ok := CutTag(unhex(t, "d83dd0834040a0"))
	if !ok || num != 61 || !bytes.Equal(content, unhex(t, "d0834040a0")) {
		t.Errorf("%d %x %v", num, content, ok)
	}
	num, content, ok = CutTag(content)
	if !ok || num != 16 || content[0] != 0x83 {
		t.Errorf("%d %x %v", num, content, ok)
	}
	if _, _, ok = CutTag(content); ok {
		t.Error("an array has a tag")
	}
	if _, _, ok = CutTag(nil); ok {
		t.Error("nothing has a tag")
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, m := range []map[string]string{refused, accepted} {
		for _, s := range m {
			if len(s) < 1000 {
				f.Add(unhex(f, s))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		item, rest, err := First(b)
		if err != nil {
			if Wellformed(b) == nil {
				t.Fatal("First refuses what Wellformed accepts")
			}
			return
		}
		if len(item)+len(rest) != len(b) || Wellformed(item) != nil {
			t.Fatal("First cuts wrongly")
		}
		// whatever is accepted here is well-formed by the library's own judgement
		if err := cbor.Wellformed(item); err != nil {
			t.Fatalf("the library says: %v", err)
		}
		var v any
		_ = Unmarshal(item, &v)
		var m map[any]RawMessage
		_ = Unmarshal(item, &m)
		_, _ = Bytes(b)
		_, _ = Text(b)
		_, _ = Int(b)
		_, _ = Uint(b)
		_, _ = Bool(b)
		_, _, _ = CutTag(b)
	})
}
