package filestore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/simdisk"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

var counter = keystore.Key("counter")

// block is how many sequence numbers the workload reserves at a time.
const block = 10

var sequence = keystore.Key("sequence")

// workload opens a store on the disk and counts until the disk crashes or n is reached. It returns the last count that
// Update acknowledged; each count comes with a block of sequence numbers, so that 10 times the count have been used.
func workload(d *simdisk.Disk, n int) (acknowledged int, err error) {
	b, err := open(d, "store", Options{})
	if err != nil {
		return 0, err
	}
	s, err := keystore.Open(b, keystore.Options{DataKey: keystoretest.DataKey(1)})
	if err != nil {
		return 0, err
	}
	q := s.Sequence(sequence)
	for i := 1; i <= n; i++ {
		if err := q.Reserve(context.Background(), uint64(i*block)); err != nil {
			return acknowledged, err
		}
		err := s.Update(context.Background(), func(tx *keystore.Tx) error {
			if err := tx.Audit(fmt.Append(nil, i)); err != nil {
				return err
			}
			return tx.Put(counter, fmt.Append(nil, i))
		})
		if err != nil {
			return acknowledged, err
		}
		acknowledged = i
	}
	return acknowledged, s.Close()
}

// verify opens the store as found after the crash. Its count must be the acknowledged one or the next, which was under way.
func verify(d *simdisk.Disk, acknowledged int) error {
	b, err := open(d, "store", Options{})
	if err != nil {
		return err
	}
	s, err := keystore.Open(b, keystore.Options{DataKey: keystoretest.DataKey(1)})
	if err != nil {
		return err
	}
	var found int
	err = s.View(func(r keystore.Reader) error {
		v, err := r.Get(counter)
		if errors.Is(err, keystore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Sscan(string(v), &found)
		return err
	})
	if err != nil {
		return err
	}
	if found != acknowledged && found != acknowledged+1 {
		return fmt.Errorf("%d was acknowledged, %d is on the disk", acknowledged, found)
	}
	high, err := s.Sequence(sequence).High(context.Background())
	if err != nil {
		return err
	}
	if high < uint64(acknowledged)*block {
		return fmt.Errorf("sequence numbers from %d on would be used again", high)
	}
	records, _, err := s.AuditVerify()
	if err == nil && records != uint64(found) {
		err = fmt.Errorf("count is %d, audit log has %d records", found, records)
	}
	return errors.Join(err, s.Close())
}

// crashes runs the workload with a crash at each operation, and reports the first state that is wrong.
func crashes(t *testing.T, plant func(*simdisk.Disk)) error {
	t.Helper()
	whole := simdisk.New(0)
	if _, err := workload(whole, 4); err != nil {
		t.Fatal(err)
	}
	states := 0
	for at := 1; at <= whole.Ops(); at++ {
		d := simdisk.New(at)
		plant(d)
		acknowledged, err := workload(d, 4)
		if !errors.Is(err, simdisk.ErrCrashed) {
			t.Fatalf("crash at %d: workload ended with %v", at, err)
		}
		var wrong error
		d.After(func(how string, after *simdisk.Disk) {
			states++
			if err := verify(after, acknowledged); err != nil && wrong == nil {
				wrong = fmt.Errorf("%s: %w", how, err)
			}
		})
		if wrong != nil {
			return wrong
		}
	}
	t.Logf("%d crash points, %d states", whole.Ops(), states)
	return nil
}

func TestCrash(t *testing.T) {
	t.Run("OS-B.1.1-2 every crash leaves the state before or after the commit, nothing acknowledged is lost, no sequence number comes again", func(t *testing.T) {
		if err := crashes(t, func(*simdisk.Disk) {}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the test notices a missing flush of the file", func(t *testing.T) {
		if err := crashes(t, func(d *simdisk.Disk) { d.LoseFileSync = true }); err == nil {
			t.Fatal("not noticed")
		}
	})
	t.Run("the test notices a missing flush of the directory", func(t *testing.T) {
		if err := crashes(t, func(d *simdisk.Disk) { d.LoseDirSync = true }); err == nil {
			t.Fatal("not noticed")
		}
	})
}
