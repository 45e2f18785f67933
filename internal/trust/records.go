package trust

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

const schema = 1

// Names of the records of this package. They hold numbers only.
//
//	rs                  counters
//	rs-as/n             Authorization Server n
//	rs-hash/n           hash n of a revoked token, in the order in which they were learned
//	rs-exi/n            running tokens with exi of the n-th issuer, in the order of their names
//	rs-clock            latest time seen
func nameCounters() keystore.Name     { return keystore.Key("rs") }
func nameAS(n uint64) keystore.Name   { return keystore.Key("rs-as", n) }
func nameAllAS() keystore.Name        { return keystore.Key("rs-as") }
func nameHash(n uint64) keystore.Name { return keystore.Key("rs-hash", n) }
func nameHashes() keystore.Name       { return keystore.Key("rs-hash") }
func nameExi(n uint64) keystore.Name  { return keystore.Key("rs-exi", n) }
func nameAllExi() keystore.Name       { return keystore.Key("rs-exi") }
func nameClock() keystore.Name        { return keystore.Key("rs-clock") }

// counters are the numbers given out last. They only grow.
type counters struct {
	Schema uint8  `cbor:"0,keyasint"`
	AS     uint64 `cbor:"1,keyasint"`
	Hash   uint64 `cbor:"2,keyasint"`
}

// asRecord is one Authorization Server: its name and its keys are one record.
type asRecord struct {
	Schema     uint8        `cbor:"0,keyasint"`
	Number     uint64       `cbor:"1,keyasint"`
	Issuer     string       `cbor:"2,keyasint"`
	Audience   string       `cbor:"3,keyasint"`
	Keys       []keyRecord  `cbor:"4,keyasint"` // the newest last
	Lenient    bool         `cbor:"5,keyasint,omitempty"`
	Introspect bool         `cbor:"6,keyasint,omitempty"`
	References bool         `cbor:"7,keyasint,omitempty"`
	URI        string       `cbor:"8,keyasint,omitempty"` // of the token endpoint; empty: no association
	ID         []byte       `cbor:"9,keyasint,omitempty"`
	ASID       []byte       `cbor:"10,keyasint,omitempty"`
	Secret     secret.Bytes `cbor:"11,keyasint,omitempty"`
	Salt       secret.Bytes `cbor:"12,keyasint,omitempty"`
	IntroPath  string       `cbor:"13,keyasint,omitempty"`
	ListPath   string       `cbor:"14,keyasint,omitempty"`
	MaxN       int          `cbor:"15,keyasint,omitempty"`
	Batch      int          `cbor:"16,keyasint,omitempty"`
	Added      int64        `cbor:"17,keyasint"` // Unix seconds
}

// keyRecord is one key that opens or verifies tokens.
type keyRecord struct {
	KID    []byte       `cbor:"1,keyasint"`
	Alg    int64        `cbor:"2,keyasint"`
	Key    secret.Bytes `cbor:"3,keyasint,omitempty"` // symmetric
	Public []byte       `cbor:"4,keyasint,omitempty"` // COSE_Key
}

// hashRecord is the hash of a revoked token.
type hashRecord struct {
	Schema  uint8  `cbor:"0,keyasint"`
	Hash    []byte `cbor:"1,keyasint"`
	Issuer  string `cbor:"2,keyasint"`
	Learned int64  `cbor:"3,keyasint"` // Unix seconds
	Ended   bool   `cbor:"4,keyasint"` // the token was ended here, or was not known
	Seen    bool   `cbor:"5,keyasint"` // the token was presented
	Off     bool   `cbor:"6,keyasint"` // it was taken off the list: the token has expired
	Expires int64  `cbor:"7,keyasint"` // Unix seconds; 0: not known
	Number  uint64 `cbor:"8,keyasint"` // sequence number of a token with exi; 0: none
}

// exiRecord is what is kept of one issuer's tokens with exi.
type exiRecord struct {
	Schema  uint8      `cbor:"0,keyasint"`
	Issuer  string     `cbor:"1,keyasint"`
	Expired uint64     `cbor:"2,keyasint"`
	Live    []exiToken `cbor:"3,keyasint"`
}

type exiToken struct {
	Number   uint64 `cbor:"1,keyasint"`
	Hash     []byte `cbor:"2,keyasint"`
	Deadline int64  `cbor:"3,keyasint"` // Unix seconds
}

func load[T any](r keystore.Reader, n keystore.Name) (*T, error) {
	b, err := r.Get(n)
	if err != nil {
		return nil, err
	}
	return decode[T](n, b)
}

func decode[T any](n keystore.Name, b []byte) (*T, error) {
	v := new(T)
	if err := cborx.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("record %v: %w", n, err)
	}
	return v, nil
}

func put(tx *keystore.Tx, n keystore.Name, v any) error {
	b, err := cborx.Marshal(v)
	if err != nil {
		return fmt.Errorf("record %v: %w", n, err)
	}
	return tx.Put(n, b)
}

func loadCounters(r keystore.Reader) (*counters, error) {
	c, err := load[counters](r, nameCounters())
	if errors.Is(err, keystore.ErrNotFound) {
		return &counters{Schema: schema}, nil
	}
	return c, err
}
