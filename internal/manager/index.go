package manager

import (
	"errors"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/keystore"
)

// Texts that must be found again (group names, identities of clients, hashes of
// tokens) become numbers in record names by the store's keyed hash, so that the
// visible names say nothing. The record lists the texts with that number: two
// texts that meet in one live in one record.

// indexEntry is one text and the number it stands for.
type indexEntry struct {
	Text   []byte `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
}

// index is a kind of text; the value is the kind of its records and the domain
// of the hash.
type index string

const (
	groupNames  index = "group-name"
	clientNames index = "client-name"
	tokenHashes index = "token-hash"
)

// bucket reads the entries beside which text belongs.
func (r reader) bucket(x index, text string) (keystore.Name, []indexEntry, error) {
	n := keystore.Key(string(x), r.s.store.Index(string(x), []byte(text)))
	b, err := r.Get(n)
	if errors.Is(err, keystore.ErrNotFound) {
		return n, nil, nil
	}
	if err != nil {
		return n, nil, err
	}
	var entries []indexEntry
	return n, entries, cborx.Unmarshal(b, &entries)
}

// indexed finds the number a text stands for; 0 when there is none.
func (r reader) indexed(x index, text string) (uint64, error) {
	_, entries, err := r.bucket(x, text)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if string(e.Text) == text {
			return e.Number, nil
		}
	}
	return 0, nil
}

// setIndex makes a text stand for a number; 0 forgets the text.
func (t *txn) setIndex(x index, text string, number uint64) error {
	n, entries, err := t.bucket(x, text)
	if err != nil {
		return err
	}
	kept := entries[:0]
	for _, e := range entries {
		if string(e.Text) != text {
			kept = append(kept, e)
		}
	}
	if number != 0 {
		kept = append(kept, indexEntry{Text: []byte(text), Number: number})
	}
	if len(kept) == 0 {
		if len(entries) == 0 {
			return nil
		}
		return t.delete(n)
	}
	return t.put(n, kept)
}
