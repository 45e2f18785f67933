package keystore

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// The decoders below see bytes that may come from anywhere: what they accept must be what the encoder writes.

func FuzzHeader(f *testing.F) {
	f.Add(header{id: storeID{1}, check: [checkSize]byte{2}}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err == nil && !bytes.Equal(h.marshal(), b) {
			t.Fatalf("%x parses as %+v", b, h)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add(head{schema: 1, generation: 2, commit: 3, clean: true, auditSeq: 4, distrust: math.MaxUint64}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(b)
		if err == nil && !bytes.Equal(h.marshal(), b) {
			t.Fatalf("%x parses as %+v", b, h)
		}
	})
}

func FuzzAnchor(f *testing.F) {
	k, err := deriveKeys(dataKey(1), storeID{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(anchorMark{id: storeID{1}, generation: 2, commit: 3, clean: true}.marshal(k)[:anchorBody])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, mac(k.anchor, b)...)
		m, ok := parseAnchor(k, b)
		if ok && !bytes.Equal(m.marshal(k), b) {
			t.Fatalf("%x parses as %+v", b, m)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	e := envelope{key: bytes.Repeat([]byte{1}, 32)}
	sealed, err := e.seal(Key("a"), 7, [24]byte{9}, []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, version, err := e.open(Key("a"), b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := e.seal(Key("a"), version, [24]byte(b[9:33]), plain)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x opens as %x", b, plain)
		}
	})
}

func FuzzBackup(f *testing.F) {
	_, s := filledFor(f)
	var b bytes.Buffer
	if _, err := s.Backup(&b); err != nil {
		f.Fatal(err)
	}
	good := bytes.Clone(b.Bytes())
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := VerifyBackup(bytes.NewReader(b), Options{DataKey: dataKey(1)}); err == nil && !bytes.Equal(b, good) {
			t.Fatalf("%x passes", b)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(Checkpoint{Seq: 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCheckpoint(s)
		if err == nil {
			if again, err := ParseCheckpoint(c.String()); err != nil || again != c {
				t.Fatalf("%q: %v, %v", s, again, err)
			}
		}
	})
}
