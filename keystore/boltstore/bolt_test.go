package boltstore

import (
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

// newPath returns a path in a new private directory.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "data", "store.db") }

func openAt(t testing.TB, path string) *Backend {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSuite(t *testing.T) {
	keystoretest.Run(t, keystoretest.Harness{
		Open: func(t testing.TB) keystore.Backend { return openAt(t, newPath(t)) },
		Reopen: func(t testing.TB, b keystore.Backend) keystore.Backend {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, b.(*Backend).Path())
		},
	})
}
