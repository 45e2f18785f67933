package anchorfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

func dirs(t *testing.T) (data, elsewhere string) {
	t.Helper()
	top := t.TempDir()
	data = filepath.Join(top, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	return data, filepath.Join(top, "elsewhere", "anchor")
}

func TestAnchor(t *testing.T) {
	t.Run("what was stored last comes back, from another process too", func(t *testing.T) {
		data, path := dirs(t)
		f, err := Open(path, data)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := f.Load(); b != nil || err != nil {
			t.Fatal(b, err)
		}
		for _, b := range [][]byte{{1}, bytes.Repeat([]byte{2}, keystore.MaxAnchor)} {
			if err := f.Store(b); err != nil {
				t.Fatal(err)
			}
			again, err := Open(path, data)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := again.Load(); err != nil || !bytes.Equal(got, b) {
				t.Fatal(got, err)
			}
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatal(fi.Mode(), err)
		}
	})
	t.Run("a place inside the data directory is refused", func(t *testing.T) {
		data, _ := dirs(t)
		if _, err := Open(filepath.Join(data, "anchor"), data); !errors.Is(err, keystore.ErrInsecure) {
			t.Fatal(err)
		}
	})
	t.Run("a file or a directory open to others is refused", func(t *testing.T) {
		data, path := dirs(t)
		f, err := Open(path, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Store([]byte{1}); err != nil {
			t.Fatal(err)
		}
		for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if err := os.Chmod(p, mode|0o044); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path, data); !errors.Is(err, keystore.ErrInsecure) || !strings.Contains(err.Error(), "chmod") {
				t.Error(err)
			}
			if err := os.Chmod(p, mode); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a file that is too long is an error, not an anchor", func(t *testing.T) {
		data, path := dirs(t)
		f, err := Open(path, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Store(make([]byte, keystore.MaxAnchor+1)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Load(); err == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("a store over it notices that its data was set back", func(t *testing.T) {
		data, path := dirs(t)
		m := keystore.NewMemory()
		open := func(b keystore.Backend) *keystore.Store {
			f, err := Open(path, data)
			if err != nil {
				t.Fatal(err)
			}
			s, err := keystore.Open(b, keystore.Options{DataKey: keystoretest.DataKey(1), Anchor: f})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if err := open(m).Close(); err != nil {
			t.Fatal(err)
		}
		old := m.Clone()
		s := open(m)
		if r := s.Restart(); !r.Continuous() || !r.Clean {
			t.Fatalf("%+v", r)
		}
		if r := open(old).Restart(); r.Continuous() || r.Anchor != keystore.AnchorAhead {
			t.Fatalf("%+v", r)
		}
	})
}
