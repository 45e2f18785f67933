package keystore_test

import (
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

func TestMemory(t *testing.T) {
	keystoretest.Run(t, keystoretest.Harness{
		Open:   func(testing.TB) keystore.Backend { return keystore.NewMemory() },
		Reopen: func(_ testing.TB, b keystore.Backend) keystore.Backend { return b.(*keystore.Memory).Clone() },
	})
}
