package filestore

import (
	"os"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

func openBackend(path string) (keystore.Backend, error) {
	b, err := Open(path)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func TestMain(m *testing.M) {
	keystoretest.Child(openBackend)
	os.Exit(m.Run())
}

func TestFiles(t *testing.T) { keystoretest.Files(t, openBackend) }
