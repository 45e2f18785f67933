package keystore

import (
	"fmt"
	"io"
)

// The types below hold keys in fields that fmt would print, so each prints its name only.

// Format prints the identity of the store, whatever the verb.
func (s *Store) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "keystore %x", s.id[:]) }

// Format prints no contents, whatever the verb.
func (tx *Tx) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "keystore transaction") }

// Format prints no contents, whatever the verb.
func (q *SeqStore) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "sequence record %v", q.name) }

func (v view) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "keystore view") }

func (e envelope) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }
