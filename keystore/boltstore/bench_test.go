package boltstore

import (
	"context"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/keystoretest"
)

// BenchmarkUpdate makes durable effects of three records and one audit record, alone and from many callers at once.
func BenchmarkUpdate(b *testing.B) {
	for name, callers := range map[string]int{"1": 1, "256": 128} { // times GOMAXPROCS
		b.Run(name, func(b *testing.B) {
			s := keystoretest.Open(b, openAt(b, newPath(b)))
			defer s.Close()
			value := make([]byte, 200)
			var seq uint64
			work := func() {
				err := s.Update(context.Background(), func(tx *keystore.Tx) error {
					seq++
					_ = tx.Put(keystore.Key("head"), value)
					_ = tx.Put(keystore.Key("node", seq), value)
					_ = tx.Put(keystore.Key("name", seq), value)
					return tx.Audit(value)
				})
				if err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			if callers == 1 {
				for b.Loop() {
					work()
				}
				return
			}
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					work()
				}
			})
		})
	}
}

// BenchmarkGet reads one of 100 000 sealed records of 200 bytes.
func BenchmarkGet(b *testing.B) {
	s := keystoretest.Open(b, openAt(b, newPath(b)))
	defer s.Close()
	const records = 100_000
	for i := 0; i < records; i += keystore.MaxEffectRecords {
		err := s.Update(context.Background(), func(tx *keystore.Tx) error {
			for j := range keystore.MaxEffectRecords {
				_ = tx.Put(keystore.Key("node", uint64(i+j)), make([]byte, 200))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		err := s.View(func(r keystore.Reader) error {
			_, err := r.Get(keystore.Key("node", uint64(i*7919%records)))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
