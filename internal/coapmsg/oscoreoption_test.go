package coapmsg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestOSCOREOption(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  OSCOREOption
		wire string
	}{
		{"OS-6.3-1 example 1", OSCOREOption{PIV: []byte{5}, KID: []byte{0x25}}, "090525"},
		{"OS-6.3-1,OS-6.1-6 example 2, empty kid", OSCOREOption{PIV: []byte{0}, KID: []byte{}}, "0900"},
		{"OS-6.3-1 example 3", OSCOREOption{PIV: []byte{5}, KID: []byte{}, KIDContext: []byte("Dalek")}, "19050544616c656b"},
		{"OS-6.3-1,OS-2-2 example 4, empty", OSCOREOption{}, ""},
		{"OS-6.3-1 example 5", OSCOREOption{PIV: []byte{7}}, "0107"},
		{"OS-6.1-1,OS-6.1-4 order of fields", OSCOREOption{PIV: []byte{1, 2}, KID: []byte{5, 6}, KIDContext: []byte{3, 4}}, "1a010202030405" + "06"},
		{"OS-6.1-1,OS-6.1-6 kid only, empty", OSCOREOption{KID: []byte{}}, "08"},
		{"OS-6.1-7 empty kid context", OSCOREOption{KIDContext: []byte{}}, "1000"},
		{"group flag", OSCOREOption{PIV: []byte{1}, KID: []byte{2}, KIDContext: []byte{3}, Group: true}, "3901010302"},
		{"group flag alone", OSCOREOption{Group: true}, "20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.opt.Append(nil)
			equal(t, hex.EncodeToString(b), c.wire)
			equal(t, c.opt.Size(), len(b))
			if err := c.opt.Validate(); err != nil {
				t.Fatal(err)
			}
			got, err := ParseOSCOREOption(b)
			if err != nil {
				t.Fatal(err)
			}
			same := bytes.Equal(got.PIV, c.opt.PIV) && bytes.Equal(got.KID, c.opt.KID) && bytes.Equal(got.KIDContext, c.opt.KIDContext) &&
				(got.KID == nil) == (c.opt.KID == nil) && (got.KIDContext == nil) == (c.opt.KIDContext == nil) && got.Group == c.opt.Group
			if !same {
				t.Fatalf("got %#v", got)
			}
		})
	}
}

func TestOSCOREOptionRefused(t *testing.T) {
	for name, wire := range map[string]string{
		"OS-6.1-2 n = 6":                        "0e010203040506",
		"OS-6.1-2 n = 7":                        "0f01020304050607",
		"OS-6.1-3 reserved bit 0x40":            "490125",
		"OS-6.1-3 reserved bit 0x80":            "890125",
		"OS-6.1-5 surplus bytes":                "010599",
		"OS-6.1-5 truncated Partial IV":         "0301",
		"OS-6.1-5 kid context without s":        "1105",
		"OS-6.1-5 truncated kid context":        "110503aabb",
		"OS-2-2 a single zero byte":             "00",
		"OS-5-5 leading zero in the Partial IV": "0a000525",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseOSCOREOption(unhex(t, wire)); !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v", err)
			}
		})
	}
	t.Run("OS-2-1 longer than 255 bytes", func(t *testing.T) {
		if _, err := ParseOSCOREOption(append([]byte{8}, make([]byte, 255)...)); !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		if _, err := ParseOSCOREOption(append([]byte{8}, make([]byte, 254)...)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("what cannot be encoded", func(t *testing.T) {
		for _, o := range []OSCOREOption{{PIV: []byte{}}, {PIV: []byte{0, 1}}, {KIDContext: make([]byte, 255)}} {
			if err := o.Validate(); !errors.Is(err, ErrValue) {
				t.Fatalf("%v: %v", o, err)
			}
		}
	})
}

func TestPIV(t *testing.T) {
	for seq, wire := range map[uint64]string{0: "00", 1: "01", 255: "ff", 256: "0100", 0x1234567: "01234567", MaxSequence: "ffffffffff"} {
		t.Run("OS-5-3 "+wire, func(t *testing.T) {
			equal(t, hex.EncodeToString(EncodePIV(seq)), wire)
			got, err := DecodePIV(unhex(t, wire))
			if err != nil || got != seq {
				t.Fatalf("%d %v", got, err)
			}
		})
	}
	for _, wire := range []string{"", "0000", "0001", "010203040506"} {
		t.Run("OS-5-5 refused "+wire, func(t *testing.T) {
			if _, err := DecodePIV(unhex(t, wire)); !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
		})
	}
}

func FuzzParseOSCOREOption(f *testing.F) {
	for _, s := range []string{"090525", "0900", "19050544616c656b", "", "0107", "3901010302", "1000"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOSCOREOption(b)
		if err != nil {
			return
		}
		if again := o.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}
