package filestore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
)

func sample(t testing.TB) []byte {
	t.Helper()
	m := keystore.NewMemory()
	batch := keystore.Batch{
		{Name: keystore.Key("a"), Value: []byte{0}},
		{Name: keystore.Key("a", 1), Value: bytes.Repeat([]byte{1}, 300)},
		{Name: keystore.Key("b", 1, 2), Value: []byte("two")},
	}
	if err := m.Apply(batch, keystore.Fence{}); err != nil {
		t.Fatal(err)
	}
	b, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// resum replaces the checksum, so that what lies behind it is reached.
func resum(b []byte) []byte {
	if len(b) < sha256.Size {
		return b
	}
	body := bytes.Clone(b[:len(b)-sha256.Size])
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

func TestFormat(t *testing.T) {
	good := sample(t)
	t.Run("decode gives what was encoded", func(t *testing.T) {
		batch, err := decode(good)
		if err != nil || len(batch) != 3 {
			t.Fatalf("%d records, %v", len(batch), err)
		}
		m := keystore.NewMemory()
		if err := m.Apply(batch, keystore.Fence{}); err != nil {
			t.Fatal(err)
		}
		if again, _ := encode(m); !bytes.Equal(again, good) {
			t.Fatal("not the same bytes")
		}
	})
	t.Run("any flipped bit is corrupt", func(t *testing.T) {
		for i := range len(good) * 8 {
			bad := bytes.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			if _, err := decode(bad); !errors.Is(err, keystore.ErrCorrupt) {
				t.Fatalf("bit %d: %v", i, err)
			}
		}
	})
	t.Run("any cut is corrupt", func(t *testing.T) {
		for i := range good {
			if _, err := decode(good[:i]); !errors.Is(err, keystore.ErrCorrupt) {
				t.Fatalf("%d bytes: %v", i, err)
			}
		}
	})
	t.Run("records out of order, twice, without name or value are corrupt", func(t *testing.T) {
		for _, records := range []string{
			"\x00\x01b\x00\x00\x00\x01x\x00\x01a\x00\x00\x00\x01x",
			"\x00\x01a\x00\x00\x00\x01x\x00\x01a\x00\x00\x00\x01x",
			"\x00\x00\x00\x00\x00\x01x",
			"\x00\x01a\x00\x00\x00\x00",
			"\x00\x01a\xff\xff\xff\xffx",
			"\xff\xffa",
			"\x00",
		} {
			b := resum(append([]byte(magic+records), make([]byte, sha256.Size)...))
			if _, err := decode(b); !errors.Is(err, keystore.ErrCorrupt) {
				t.Fatalf("%q: %v", records, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resum(b)
		batch, err := decode(b)
		if err != nil {
			if !errors.Is(err, keystore.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		m := keystore.NewMemory()
		if err := m.Apply(batch, keystore.Fence{}); err != nil {
			t.Fatal(err)
		}
		if again, err := encode(m); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x decodes and encodes as %x, %v", b, again, err)
		}
	})
}
