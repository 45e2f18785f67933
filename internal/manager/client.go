package manager

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// maxClientTokens bounds the valid tokens kept for one client; the one that ends
// first makes room.
const maxClientTokens = 4

// client is the record of one client of an Authorization Server: who it is, and
// its tokens with their associations. It is one record, so that a request is
// judged by reading it once.
//
// A client is known by issuer and name. Where the issuer names no client, each
// token is a client of its own.
type client struct {
	Schema uint8        `cbor:"0,keyasint"`
	Number uint64       `cbor:"1,keyasint"`
	Issuer string       `cbor:"2,keyasint"`
	Name   string       `cbor:"3,keyasint,omitempty"` // empty: only Hash tells it
	Hash   []byte       `cbor:"4,keyasint,omitempty"`
	Tokens []tokenEntry `cbor:"5,keyasint"`
}

func (c *client) schema() uint8 { return c.Schema }

// tokenEntry is one access token, bound to at most one association.
type tokenEntry struct {
	ID        uint64 `cbor:"1,keyasint"`
	Hash      []byte `cbor:"2,keyasint"`           // RFC 9770, Section 4
	Scope     []byte `cbor:"3,keyasint"`           // AIF array
	Expires   int64  `cbor:"4,keyasint"`           // Unix seconds
	Challenge []byte `cbor:"5,keyasint,omitempty"` // N_S: the latest kdcchallenge
	Assoc     uint64 `cbor:"6,keyasint"`
	Material  []byte `cbor:"7,keyasint"` // id of the OSCORE input material, which names the association in an update of rights
	// Revoked says that the token was ended before its time, which Expires is no more.
	Revoked bool `cbor:"8,keyasint,omitempty"`
}

// label names the client in audit records and lists.
func (c *client) label() string {
	if c.Name != "" {
		return c.Name
	}
	return "client-" + nodeEncoding.EncodeToString(uintBytes(c.Number, 1))
}

// roles gives what the token grants in a group, nothing once it has expired.
func (e *tokenEntry) roles(group string, now time.Time) ace.Roles {
	if e.expired(now) {
		return 0
	}
	sc, err := ace.ParseScope(e.Scope)
	if err != nil {
		return 0
	}
	return sc.Group(group)
}

// expired reports whether the token's time is over (RFC 9200, Section 5.10.3).
func (e *tokenEntry) expired(now time.Time) bool { return now.Unix() >= e.Expires }

// byAssoc finds the token of an association.
func (c *client) byAssoc(a uint64) *tokenEntry {
	if i := slices.IndexFunc(c.Tokens, func(e tokenEntry) bool { return e.Assoc == a }); i >= 0 && a != 0 {
		return &c.Tokens[i]
	}
	return nil
}

func (c *client) byID(id uint64) *tokenEntry {
	if i := slices.IndexFunc(c.Tokens, func(e tokenEntry) bool { return e.ID == id }); i >= 0 {
		return &c.Tokens[i]
	}
	return nil
}

// wasRevoked says whether a token was ended, or its rights were, before its time.
func (c *client) wasRevoked(id uint64, now time.Time) bool {
	e := c.byID(id)
	return e != nil && (e.Revoked || !e.expired(now))
}

func (c *client) byHash(hash []byte) *tokenEntry {
	if i := slices.IndexFunc(c.Tokens, func(e tokenEntry) bool { return bytes.Equal(e.Hash, hash) }); i >= 0 {
		return &c.Tokens[i]
	}
	return nil
}

// covering finds a token, other than one, that grants at least the roles in a
// group; the one that lasts longest.
func (c *client) covering(group string, want ace.Roles, now time.Time, other uint64) *tokenEntry {
	var best *tokenEntry
	for i := range c.Tokens {
		e := &c.Tokens[i]
		if e.ID != other && e.roles(group, now).Has(want) && (best == nil || e.Expires > best.Expires) {
			best = e
		}
	}
	return best
}

// liveAssoc gives the newest association of the client that a floor has not dropped; 0: none.
func (c *client) liveAssoc(floor uint64) uint64 {
	var a uint64
	for _, e := range c.Tokens {
		if e.Assoc >= floor {
			a = max(a, e.Assoc)
		}
	}
	return a
}

// association is the record of an association with a device: the inputs from
// which its OSCORE context is derived again, never the keys.
type association struct {
	Schema  uint8        `cbor:"0,keyasint"`
	Number  uint64       `cbor:"1,keyasint"`
	Client  uint64       `cbor:"2,keyasint"`
	Secret  secret.Bytes `cbor:"3,keyasint"`
	Salt    secret.Bytes `cbor:"4,keyasint"` // the whole Master Salt: that of the token and both nonces
	Sender  []byte       `cbor:"5,keyasint"` // of the Group Manager
	Peer    []byte       `cbor:"6,keyasint"` // Recipient ID of the Group Manager
	Context []byte       `cbor:"7,keyasint"` // ID Context; null: none
	AEAD    int64        `cbor:"8,keyasint"`
	HKDF    int64        `cbor:"9,keyasint"`
}

func (a *association) schema() uint8 { return a.Schema }

func (m *member) schema() uint8 { return m.Schema }
func (n *notice) schema() uint8 { return n.Schema }
func (h *head) schema() uint8   { return h.Schema }

// seenClient is a client as it was read before: an operation that first checks and
// then acts reads it twice, and decodes it again only if it has changed. The
// operation must not change it.
type seenClient struct {
	raw    secret.Bytes
	client *client
}

func (r reader) client(c uint64) (*client, error) {
	n := nameClient(c)
	if r.seen == nil {
		return load[client](r, n)
	}
	b, err := r.Get(n)
	if err != nil {
		return nil, err
	}
	if r.seen.client == nil || !bytes.Equal(b, r.seen.raw) {
		cl, err := decode[client](n, b)
		if err != nil {
			return nil, err
		}
		r.seen.raw, r.seen.client = b, cl
	}
	return r.seen.client, nil
}

// caller finds who asks: the client and the token behind the association of a
// request. It refuses with KindUnauthorized without a valid token
// (RFC 9594, Section 4.1.2).
func (r reader) caller(c Caller, now time.Time) (*client, *tokenEntry, error) {
	cl, err := r.client(c.Client)
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil, refuse(KindUnauthorized, "no access token")
	}
	if err != nil {
		return nil, nil, err
	}
	e := cl.byAssoc(c.Association)
	if e == nil || e.expired(now) {
		return nil, nil, refuse(KindUnauthorized, "no valid access token")
	}
	return cl, e, nil
}

// member finds the membership of a client in a group; nil when there is none.
func (r reader) member(c, g uint64) (*member, error) {
	n, err := r.number(nameMemberOf(c, g))
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return load[member](r, nameMember(g, n))
}

// members calls f for each member of a group in the order of joining.
func (r reader) members(g uint64, f func(m *member) error) error {
	return r.Scan(nameMembers(g), func(n keystore.Name, b []byte) error {
		m, err := decode[member](n, b)
		if err != nil {
			return err
		}
		return f(m)
	})
}

func (t *txn) putMember(m *member) error { return t.put(nameMember(m.Group, m.Number), m) }
func (t *txn) putClient(c *client) error { return t.put(nameClient(c.Number), c) }

// staleSet reads the Sender IDs that were given up under one version.
func (r reader) staleSet(g, v uint64) ([][]byte, error) {
	var out [][]byte
	err := r.Scan(nameStaleSet(g, v), func(n keystore.Name, b []byte) error {
		var s uint64
		if err := cborx.Unmarshal(b, &s); err != nil {
			return err
		}
		out = append(out, senderIDBytes(s))
		return nil
	})
	return out, err
}
