package boltstore

import (
	"fmt"
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
	if path := os.Getenv(fullEnv); path != "" {
		if err := fullChild(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFiles(t *testing.T) { keystoretest.Files(t, openBackend) }
