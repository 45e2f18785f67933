package authserver

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// schema is the version of all records of this package.
const schema = 1

// counters are the numbers given out last. They only grow.
type counters struct {
	Schema   uint8  `cbor:"0,keyasint"`
	Client   uint64 `cbor:"1,keyasint"`
	RS       uint64 `cbor:"2,keyasint"`
	Material uint64 `cbor:"3,keyasint"`
	Token    uint64 `cbor:"4,keyasint"`
}

// clientRecord is a device.
type clientRecord struct {
	Schema   uint8         `cbor:"0,keyasint"`
	Number   uint64        `cbor:"1,keyasint"`
	Name     string        `cbor:"2,keyasint"`
	Secret   secret.Hidden `cbor:"3,keyasint"`
	Salt     secret.Hidden `cbor:"4,keyasint"`
	Audience string        `cbor:"5,keyasint"` // for requests without one
	Grants   []Grant       `cbor:"6,keyasint"`
	Enrolled int64         `cbor:"7,keyasint"` // Unix seconds
	Revoked  int64         `cbor:"8,keyasint"` // Unix seconds; 0: in use
	Alarms   uint64        `cbor:"9,keyasint"`
	// Administrator may see the whole list of revoked tokens.
	Administrator bool    `cbor:"10,keyasint,omitempty"`
	Key           []byte  `cbor:"11,keyasint,omitempty"` // COSE_Key of its public key, which the operator vouches for
	Profiles      []int64 `cbor:"12,keyasint,omitempty"` // none: the OSCORE profile
}

// rsRecord is a resource server, or an audience of several.
type rsRecord struct {
	Schema   uint8      `cbor:"0,keyasint"`
	Number   uint64     `cbor:"1,keyasint"`
	Audience string     `cbor:"2,keyasint"`
	URI      string     `cbor:"3,keyasint"`
	Lifetime int64      `cbor:"4,keyasint"` // seconds of a token
	Keys     []tokenKey `cbor:"5,keyasint"` // oldest first
	Extended bool       `cbor:"6,keyasint"` // scope claim in its extended form
	// Of a resource server that is another process: the secret of the association, which is no token key.
	Secret    secret.Hidden `cbor:"7,keyasint,omitempty"`
	Salt      secret.Hidden `cbor:"8,keyasint,omitempty"`
	Revoked   int64         `cbor:"9,keyasint,omitempty"` // Unix seconds; 0: in use
	Alarms    uint64        `cbor:"10,keyasint,omitempty"`
	Form      TokenForm     `cbor:"11,keyasint,omitempty"`
	Exi       bool          `cbor:"12,keyasint,omitempty"` // tokens say how long they live from their arrival
	Exis      uint64        `cbor:"13,keyasint,omitempty"` // such tokens issued
	Profiles  []int64       `cbor:"14,keyasint,omitempty"` // none: the OSCORE profile
	PublicKey []byte        `cbor:"15,keyasint,omitempty"` // COSE_Key, told to clients that bind a key of their own
	Members   []uint64      `cbor:"16,keyasint,omitempty"` // of an audience of several: the resource servers
}

// tokenKey is one key that seals tokens for a resource server.
type tokenKey struct {
	KID   []byte        `cbor:"1,keyasint"`
	Alg   int64         `cbor:"2,keyasint"`
	Key   secret.Hidden `cbor:"3,keyasint"`
	Used  uint64        `cbor:"4,keyasint"`           // nonces drawn
	From  int64         `cbor:"5,keyasint,omitempty"` // Unix seconds: seals from then on, opens at once
	Until int64         `cbor:"6,keyasint,omitempty"` // Unix seconds: end of the last token it sealed, once another seals; 0: none
}

// signingRecord holds the keys that sign tokens.
type signingRecord struct {
	Schema uint8        `cbor:"0,keyasint"`
	Keys   []signingKey `cbor:"1,keyasint"` // oldest first
	Count  uint64       `cbor:"2,keyasint"` // keys ever made
}

type signingKey struct {
	KID   []byte        `cbor:"1,keyasint"`
	Curve int64         `cbor:"2,keyasint"`
	Alg   int64         `cbor:"3,keyasint"`
	Key   secret.Hidden `cbor:"4,keyasint"`
	From  int64         `cbor:"5,keyasint,omitempty"`
	Until int64         `cbor:"6,keyasint,omitempty"`
}

// policiesRecord holds all policies.
type policiesRecord struct {
	Schema uint8    `cbor:"0,keyasint"`
	List   []Policy `cbor:"1,keyasint"`
}

// materialRecord is an input material that was issued. Its secret is not kept: nobody needs it again.
type materialRecord struct {
	Schema uint8  `cbor:"0,keyasint"`
	Client uint64 `cbor:"1,keyasint"`
	RS     uint64 `cbor:"2,keyasint"`
	Until  int64  `cbor:"3,keyasint"` // Unix seconds: end of the last token bound to it
}

// tokenRecord is a token that was issued, without its bytes.
type tokenRecord struct {
	Schema   uint8  `cbor:"0,keyasint"`
	Number   uint64 `cbor:"1,keyasint"`
	Client   uint64 `cbor:"2,keyasint"`
	RS       uint64 `cbor:"3,keyasint"`
	Material uint64 `cbor:"4,keyasint"` // 0: bound to a key of the client's own
	Hash     []byte `cbor:"5,keyasint"`
	Scope    []byte `cbor:"6,keyasint"` // AIF array
	Issued   int64  `cbor:"7,keyasint"` // Unix seconds
	Expires  int64  `cbor:"8,keyasint"`
	Revoked  int64  `cbor:"9,keyasint"` // Unix seconds; 0: valid
}

// trlRecord is a token on the list of revoked ones.
type trlRecord struct {
	Schema uint8  `cbor:"0,keyasint"`
	Hash   []byte `cbor:"1,keyasint"`
	Client uint64 `cbor:"2,keyasint"`
	RS     uint64 `cbor:"3,keyasint"`
}

// trlHead says which updates of a requester's series are kept: those from First to before Added.
type trlHead struct {
	Schema uint8  `cbor:"0,keyasint"`
	Added  uint64 `cbor:"1,keyasint"`
	First  uint64 `cbor:"2,keyasint"`
}

// trlUpdate is one update of a requester's series.
type trlUpdate struct {
	Removed [][]byte `cbor:"1,keyasint,omitempty"`
	Added   [][]byte `cbor:"2,keyasint,omitempty"`
}

// numbersRecord is a set of numbers.
type numbersRecord struct {
	Schema  uint8    `cbor:"0,keyasint"`
	Numbers []uint64 `cbor:"1,keyasint"`
}

// nameRecord is what an index of texts points to.
type nameRecord struct {
	Text   []byte `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
}

func load[T any](r keystore.Reader, n keystore.Name) (*T, error) {
	b, err := r.Get(n)
	if err != nil {
		return nil, err
	}
	return decode[T](n, b)
}

// loadOr reads a record; the one given if there is none.
func loadOr[T any](r keystore.Reader, n keystore.Name, none T) (*T, error) {
	v, err := load[T](r, n)
	if errors.Is(err, keystore.ErrNotFound) {
		return &none, nil
	}
	return v, err
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

// loadCounters reads the counters; all zero in a new store.
func loadCounters(r keystore.Reader) (*counters, error) {
	return loadOr(r, nameCounters(), counters{Schema: schema})
}

// lookUp follows an index of texts; ErrNotFound if there is no such text.
func lookUp(r keystore.Reader, n keystore.Name, text []byte) (uint64, error) {
	rec, err := load[nameRecord](r, n)
	if errors.Is(err, keystore.ErrNotFound) || (err == nil && string(rec.Text) != string(text)) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return rec.Number, nil
}

// claim adds a text to an index; ErrExists if it, or one that meets it there, is in it.
func claim(tx *keystore.Tx, n keystore.Name, text []byte, number uint64) error {
	switch _, err := tx.Get(n); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, keystore.ErrNotFound):
		return err
	}
	return put(tx, n, nameRecord{Text: text, Number: number})
}
