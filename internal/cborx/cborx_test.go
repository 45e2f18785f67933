package cborx

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused lists inputs that no decoder of the module may take.
var refused = map[string]string{
	"empty":                            "",
	"trailing byte":                    "01 00",
	"duplicate key":                    "a2 01 02 01 03",
	"duplicate key, longer head":       "a2 01 02 18 01 03",
	"duplicate negative key":           "a2 20 02 3800 03",
	"duplicate text key, longer head":  "a2 61 61 01 7801 61 02",
	"duplicate key deep inside":        "82 01 81 a1 01 a2 40 01 40 02",
	"duplicate key among many":         "b1 0001 0101 0201 0301 0401 0501 0601 0701 0801 0901 0a01 0b01 0c01 0d01 0e01 0f01 1800 01",
	"duplicate key inside a tag":       "c1 a2 f6 01 f6 02",
	"indefinite array":                 "9f 01 ff",
	"indefinite map":                   "bf 01 02 ff",
	"indefinite bytes":                 "5f 41 01 ff",
	"indefinite text":                  "7f 61 61 ff",
	"break alone":                      "ff",
	"reserved additional information":  "1c",
	"reserved additional information2": "fe",
	"text not UTF-8":                   "62 c3 28",
	"text not UTF-8 as key":            "a1 61 ff 01",
	"string too short":                 "43 01 02",
	"string of 2^64-1 bytes":           "5b ffffffffffffffff 00",
	"array of 2^64-1":                  "9b ffffffffffffffff 00",
	"map of 2^63":                      "bb 8000000000000000 00 00",
	"array too short":                  "83 01 02",
	"map too short":                    "a1 01",
	"head cut":                         "19 01",
	"tag without content":              "d8 3d",
	"simple value in two bytes":        "f8 18",
	"nested too deep":                  strings.Repeat("81", MaxNesting+1) + "00",
	"tags nested too deep":             strings.Repeat("c1", MaxNesting+1) + "00",
	"more elements than the limit":     "9a 00010001" + strings.Repeat("00", MaxElements+1),
}

var accepted = map[string]string{
	"longer heads than needed":  "b801 1801 5800",
	"depth at the limit":        strings.Repeat("81", MaxNesting) + "00",
	"map with keys of all kind": "a6 01 01 20 01 61 61 01 41 61 01 f4 01 80 01",
	"floats":                    "83 f93c00 fa3f800000 fb3ff0000000000000",
	"simple values":             "85 f4 f5 f6 f7 f8ff",
	"tags":                      "d83d d0 83 40 a0 40",
	"same value, other type":    "a2 41 61 01 61 61 01",
}

func TestStrict(t *testing.T) {
	t.Parallel()
	for name, in := range refused {
		t.Run("refused: "+name, func(t *testing.T) {
			b := unhex(t, in)
			if err := Wellformed(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("Wellformed: %v", err)
			}
			var v any
			if err := Unmarshal(b, &v); !errors.Is(err, ErrMalformed) {
				t.Errorf("Unmarshal: %v", err)
			}
			var raw RawMessage
			if err := Unmarshal(b, &raw); !errors.Is(err, ErrMalformed) {
				t.Errorf("Unmarshal into raw bytes: %v", err)
			}
		})
	}
	for name, in := range accepted {
		t.Run("accepted: "+name, func(t *testing.T) {
			b := unhex(t, in)
			if err := Wellformed(b); err != nil {
				t.Error(err)
			}
			if err := cbor.Wellformed(b); err != nil {
				t.Errorf("fxamacker: %v", err)
			}
		})
	}
	t.Run("refused: larger than the limit", func(t *testing.T) {
		b := AppendBytes(nil, make([]byte, MaxSize))
		if err := Wellformed(b); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
	t.Run("an unknown field with duplicate keys inside is refused", func(t *testing.T) {
		var v struct {
			A int `cbor:"1,keyasint"`
		}
		if err := Unmarshal(unhex(t, "a2 01 02 09 a2 01 02 01 03"), &v); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}

func TestUnmarshalTypes(t *testing.T) {
	t.Parallel()
	var m map[any]any
	if err := Unmarshal(unhex(t, "a2 01 02 61 61 20"), &m); err != nil {
		t.Fatal(err)
	}
	if m[int64(1)] != int64(2) || m["a"] != int64(-1) {
		t.Errorf("got %#v", m)
	}
	var n int
	if err := Unmarshal(unhex(t, "61 61"), &n); !errors.Is(err, ErrMalformed) {
		t.Errorf("text into int: %v", err)
	}
	var any any
	if err := Unmarshal(unhex(t, "1b ffffffffffffffff"), &any); !errors.Is(err, ErrMalformed) {
		t.Errorf("2^64-1 into an interface: %v", err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	type typed struct {
		A []byte `cbor:"1,keyasint"`
	}
	for _, c := range []struct {
		name, in string
		target   any
		ok       bool
	}{
		{"into an interface", "d83d 40", new(any), true},
		{"inside an interface", "81 d83d 40", new(any), true},
		{"into raw bytes", "d83d 40", new(RawMessage), true},
		{"into a tag", "d83d 40", new(Tag), true},
		{"into a raw tag", "d83d 40", new(RawTag), true},
		{"elements of a raw slice", "81 d83d 40", new([]RawMessage), true},
		{"elements of a raw map", "a1 01 d83d 40", new(map[any]RawMessage), true},
		{"around a raw slice", "d83d 81 40", new([]RawMessage), false},
		{"around a raw map", "d83d a1 01 40", new(map[any]RawMessage), false},
		{"around a struct", "d83d a1 01 40", new(typed), false},
		{"around a field", "a1 01 d83d 40", new(typed), false},
		{"in an unknown field", "a1 02 d83d 40", new(typed), false},
		{"around a byte string", "d83d 40", new([]byte), false},
		{"around an integer", "c1 00", new(int), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Unmarshal(unhex(t, c.in), c.target); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
		})
	}
	t.Run("no pointer, no decoding", func(t *testing.T) {
		for _, v := range []any{nil, 1, map[any]any{}} {
			if err := Unmarshal([]byte{0xa0}, v); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T: %v", v, err)
			}
		}
	})
}

func TestMarshalIsDeterministic(t *testing.T) {
	t.Parallel()
	for range 20 {
		b, err := Marshal(map[any]any{"z": 1, 100: 2, -1: 3, 10: 4, "aa": 5, false: 6})
		if err != nil {
			t.Fatal(err)
		}
		if want := unhex(t, "a6 0a04 186402 2003 617a01 62616105 f406"); !bytes.Equal(b, want) {
			t.Fatalf("got %x, want %x", b, want)
		}
	}
	if _, err := Marshal(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	item, rest, err := First(unhex(t, "82 01 02 f6 40"))
	if err != nil || !bytes.Equal(item, unhex(t, "820102")) || !bytes.Equal(rest, unhex(t, "f640")) {
		t.Errorf("%x %x %v", item, rest, err)
	}
}

func TestAppendAgainstFxamacker(t *testing.T) {
	t.Parallel()
	same := func(t *rapid.T, got []byte, v any) {
		want, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%v: got %x, want %x", v, got, want)
		}
		if err := Wellformed(got); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.SampledFrom([]uint64{0, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MaxUint64})
		u := rapid.OneOf(rapid.Uint64(), edge).Draw(t, "uint")
		same(t, AppendUint(nil, u), u)
		same(t, AppendInt(nil, int64(u)), int64(u))
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")
		same(t, AppendBytes(nil, b), b)
		s := rapid.String().Draw(t, "text")
		same(t, AppendText(nil, s), s)
		same(t, AppendBool(nil, u&1 == 0), u&1 == 0)
		same(t, AppendNull(nil), nil)
		same(t, AppendBytes(AppendTag(nil, u|0x40), b), cbor.Tag{Number: u | 0x40, Content: b})

		arr := AppendArray(nil, len(b))
		ints := []uint64{}
		for _, x := range b {
			arr, ints = AppendUint(arr, uint64(x)), append(ints, uint64(x))
		}
		same(t, arr, ints)
		same(t, AppendText(AppendInt(AppendMap(nil, 1), int64(u)), s), map[int64]string{int64(u): s})
	})
}

func TestAppendDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 256)
	v := []byte("value")
	n := testing.AllocsPerRun(100, func() {
		b := AppendArray(dst, 5)
		b = AppendUint(b, 1<<40)
		b = AppendInt(b, -65534)
		b = AppendBytes(b, v)
		b = AppendText(b, "Key")
		_ = AppendNull(b)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTraps pins down what the package comment warns of: behaviour of the library
// that codecs have to know.
func TestTraps(t *testing.T) {
	t.Parallel()
	b := []byte{7}
	if err := Unmarshal([]byte{0x82, 1, 2}, &b); err != nil || !bytes.Equal(b, []byte{1, 2}) {
		t.Errorf("array into bytes: %x %v", b, err)
	}
	n := 7
	if err := Unmarshal([]byte{0xf6}, &n); err != nil || n != 7 {
		t.Errorf("null into an integer: %d %v", n, err)
	}
	if err := Unmarshal([]byte{0xf6}, &b); err != nil || b != nil {
		t.Errorf("null into bytes: %x %v", b, err)
	}
	if out, err := Marshal([]byte(nil)); err != nil || !bytes.Equal(out, []byte{0xf6}) {
		t.Errorf("nil bytes: %x %v", out, err)
	}
}
