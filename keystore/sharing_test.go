package keystore_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
)

// TestEffectsOfABusyMachineShareACommit shows that who is ready to run brings its
// effect before a commit is sealed. With one processor nobody runs but by turns, so
// that without it each effect would have a commit of its own.
func TestEffectsOfABusyMachineShareACommit(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	commits := 0
	s, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: make([]byte, keystore.DataKeySize), OnCommit: func(keystore.Commit) { commits++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const effects = 50
	var wg sync.WaitGroup
	before := commits
	for i := range uint64(effects) {
		wg.Go(func() {
			err := s.Update(context.Background(), func(tx *keystore.Tx) error { return tx.Put(keystore.Key("r", i), []byte{1}) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := commits - before; n > effects/2 {
		t.Fatalf("%d commits for %d effects", n, effects)
	}
}
