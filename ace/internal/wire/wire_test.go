package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestReader(t *testing.T) {
	t.Parallel()
	t.Run("members are given by key and type", func(t *testing.T) {
		t.Parallel()
		r := NewReader(unhex("a8 00 4101 01 6161 02 05 03 24 04 f5 05 f6 06 824101 40 07 8161 62"))
		text, okText := r.Text(1)
		u, okUint := r.Uint(2)
		i, okInt := r.Int(3)
		b, okBool := r.Bool(4)
		list := r.BytesArray(6)
		texts := r.TextArray(7)
		if !bytes.Equal(r.Bytes(0), []byte{1}) || text != "a" || u != 5 || i != -5 || !b || !r.Null(5) || !r.IsNull(5) ||
			len(list) != 2 || list[1] == nil || len(texts) != 1 || texts[0] != "b" || !okText || !okUint || !okInt || !okBool || r.Err() != nil {
			t.Fatal("wrong values", r.Err())
		}
	})
	t.Run("absent is not empty", func(t *testing.T) {
		t.Parallel()
		r := NewReader(unhex("a2 00 40 01 80"))
		if r.Bytes(0) == nil || r.BytesArray(1) == nil || r.Bytes(2) != nil || r.BytesArray(3) != nil || r.Has(2) || r.Err() != nil {
			t.Fatal("mixed up", r.Err())
		}
	})
	t.Run("the first fault is kept", func(t *testing.T) {
		t.Parallel()
		r := NewReader(unhex("a2 00 6161 01 4101"))
		if r.Bytes(0) != nil || r.Bytes(1) != nil {
			t.Fatal("values after a fault")
		}
		r.Require(9)
		if err := r.Err(); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "member 0") {
			t.Fatal(err)
		}
	})
	t.Run("null is no value of any type", func(t *testing.T) {
		t.Parallel()
		for _, read := range []func(r *Reader){
			func(r *Reader) { r.Bytes(0) }, func(r *Reader) { r.Text(0) }, func(r *Reader) { r.Uint(0) }, func(r *Reader) { r.Int(0) },
			func(r *Reader) { r.Bool(0) }, func(r *Reader) { r.BytesArray(0) },
		} {
			r := NewReader(unhex("a1 00 f6"))
			if read(r); !errors.Is(r.Err(), ErrMalformed) {
				t.Error(r.Err())
			}
		}
		r := NewReader(unhex("a1 00 40"))
		if r.Null(0); !errors.Is(r.Err(), ErrMalformed) {
			t.Error(r.Err())
		}
	})
	t.Run("keys that are no integers are skipped, but are members", func(t *testing.T) {
		t.Parallel()
		r := NewReader(unhex("a2 6178 f6 00 01"))
		if v, _ := r.Uint(0); v != 1 || r.Err() != nil || r.Only(0) {
			t.Fatal(v, r.Err())
		}
		if !NewReader(unhex("a1 00 01")).Only(0, 1) {
			t.Fatal("an absent key counts")
		}
	})
	t.Run("KG-ERR-04 what is no map is malformed", func(t *testing.T) {
		t.Parallel()
		many := cborx.AppendMap(nil, MaxFields+1)
		for i := range MaxFields + 1 {
			many = cborx.AppendNull(cborx.AppendUint(many, uint64(i)))
		}
		for _, in := range [][]byte{nil, unhex("80"), unhex("a1 00"), unhex("a0 00"), unhex("bf ff"), unhex("a2 00 01 00 02"), unhex("a2 00 01 1800 02"), many} {
			if err := NewReader(in).Err(); !errors.Is(err, ErrMalformed) {
				t.Errorf("%x: %v", in, err)
			}
		}
	})
	t.Run("what it gives does not alias the input", func(t *testing.T) {
		t.Parallel()
		in := unhex("a1 00 4101")
		r := NewReader(in)
		clear(in)
		if !bytes.Equal(r.Bytes(0), []byte{1}) {
			t.Fatal("it does")
		}
	})
}

func TestWriter(t *testing.T) {
	t.Parallel()
	t.Run("members are sorted by their encoded keys", func(t *testing.T) {
		t.Parallel()
		var w Writer
		w.Uint(300, 1)
		w.Text(-1, "a")
		w.Null(24)
		w.Bool(-2, true)
		w.Bytes(1, []byte{})
		w.BytesArray(2, [][]byte{})
		w.TextArray(3, []string{"a"})
		w.Int(4, -1)
		if got := w.Encode(); !bytes.Equal(got, unhex("a8 01 40 02 80 03 816161 04 20 1818 f6 19012c 01 20 6161 21 f5")) {
			t.Fatalf("%x", got)
		}
	})
	t.Run("nil leaves a member out", func(t *testing.T) {
		t.Parallel()
		var w Writer
		w.Bytes(1, nil)
		w.BytesArray(2, nil)
		w.Raw(3, nil)
		w.Text(4, "")
		if got := w.Encode(); !bytes.Equal(got, []byte{0xa0}) {
			t.Fatalf("%x", got)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(unhex("a8 00 4101 01 6161 02 05 03 24 04 f5 05 f6 06 824101 40 07 8161 62"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(in)
		for k := range int64(10) {
			r.Bytes(k)
			r.BytesArray(k)
		}
		if err := r.Err(); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}
