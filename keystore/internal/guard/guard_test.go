//go:build unix

package guard

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
)

// otherOwner is a file of somebody else.
type otherOwner struct{ fs.FileInfo }

func (o otherOwner) Sys() any { return &syscall.Stat_t{Uid: uint32(os.Geteuid()) + 1000} }

func TestGuard(t *testing.T) {
	t.Run("a file of another user is refused with the remedy", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		err = private(path, otherOwner{fi}, 0o600)
		if !errors.Is(err, keystore.ErrInsecure) || !strings.Contains(err.Error(), "chown") {
			t.Fatal(err)
		}
	})
	t.Run("paths in remedies are quoted for a shell", func(t *testing.T) {
		for in, want := range map[string]string{"/a/b": "/a/b", "/a b": "'/a b'", "/it's": `'/it'\''s'`, "$x": "'$x'"} {
			if got := quote(in); got != want {
				t.Errorf("%s: %s", in, got)
			}
		}
	})
	t.Run("what stands in a lock file is shown and never trusted", func(t *testing.T) {
		for in, want := range map[string]string{
			"12 groupmanager\n": "process 12 (groupmanager)", "": "another process", "x y\n": "another process",
			"12 \x1b[31mred\n": `process 12 (\x1b[31mred)`, "-1 x\n": "another process", strings.Repeat("9", 300): "another process",
		} {
			path := filepath.Join(t.TempDir(), "lock")
			if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := holder(f); got != want {
				t.Errorf("%q gives %q", in, got)
			}
			_ = f.Close()
		}
	})
	t.Run("a lock is given up once, and can then be taken", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		for range 2 {
			l, err := Acquire(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Acquire(path); !errors.Is(err, keystore.ErrHeld) {
				t.Fatal(err)
			}
			if err := errors.Join(l.Close(), l.Close()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
