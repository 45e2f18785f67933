package manager

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

var _ ace.TokenStore = (*Service)(nil)

// identityText is under which text a token's client is found again.
func identityText(t *ace.Token) string {
	if t.Client == "" {
		return "token\x00" + string(t.Hash[:])
	}
	return "client\x00" + t.Issuer + "\x00" + t.Client
}

// FirstSequences is how many sequence numbers of the Group Manager are reserved
// under a new association when it is stored: those from 0 to below it.
const FirstSequences = 32

// Confirm implements ace.TokenStore: it stores a token and the association that
// its first verified request has confirmed, in one transaction. An older
// association of the same token ends; other tokens of the client stay, up to a
// bound. Of the association the inputs are stored, not the keys.
func (s *Service) Confirm(ctx context.Context, a *ace.Association) (superseded []uint64, err error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	var number uint64
	crowding := false
	err = s.update(ctx, func(t *txn) error {
		superseded = nil
		if !t.now.Before(a.Token.Expires) {
			return refuse(KindUnauthorized, "the access token has expired")
		}
		c, err := t.counters()
		if err != nil {
			return err
		}
		cl, err := t.clientOf(c, &a.Token)
		if err != nil {
			return err
		}
		number = cl.Number
		e := cl.byHash(a.Token.Hash[:])
		if e == nil {
			cl.Tokens = append(cl.Tokens, tokenEntry{ID: c.NextToken, Hash: append([]byte(nil), a.Token.Hash[:]...)})
			c.NextToken++
			e = &cl.Tokens[len(cl.Tokens)-1]
		} else if e.Assoc != 0 {
			superseded = append(superseded, e.Assoc)
		}
		a.Number, a.Token.ID = c.NextAssoc, e.ID
		c.NextAssoc++
		e.Scope, e.Expires, e.Challenge = a.Token.Scope.Marshal(), a.Token.Expires.Unix(), a.Token.Challenge
		e.Assoc, e.Material, e.Revoked = a.Number, a.Token.Material.ID, false
		tokens := len(cl.Tokens)
		crowded, err := t.crowdedOut(cl, e.ID)
		if err != nil {
			return err
		}
		superseded, crowding = append(superseded, crowded...), len(cl.Tokens) < tokens
		for _, old := range superseded {
			if err := t.dropAssociation(old); err != nil {
				return err
			}
		}
		if err := t.put(nameExpiry(a.Token.Expires.Unix(), a.Token.ID), cl.Number); err != nil {
			return err
		}
		if err := t.setIndex(tokenHashes, string(a.Token.Hash[:]), cl.Number); err != nil {
			return err
		}
		t.audit(AuditEvent{Event: "association.confirmed", Client: cl.label()})
		if err := t.put(nameAssociation(a.Number), newAssociation(a.Number, cl.Number, a.Params)); err != nil {
			return err
		}
		if err := t.tx.ReserveSequence(nameAssociationSeq(a.Number), FirstSequences); err != nil {
			return err
		}
		if err := t.putCounters(c); err != nil {
			return err
		}
		return t.putClient(cl)
	})
	if err != nil {
		return nil, err
	}
	if crowding {
		s.wakeSweep() // memberships rested on the tokens that had to go
	} else {
		s.sweepBy(a.Token.Expires)
	}
	if err := s.oweClient(number); err != nil {
		s.log.WarnContext(ctx, "cannot look what a device is owed", "error", err)
	}
	return superseded, nil
}

// clientOf finds the client of a token, or begins a new one.
func (t *txn) clientOf(c *counters, tok *ace.Token) (*client, error) {
	text := identityText(tok)
	n, err := t.indexed(clientNames, text)
	if err != nil {
		return nil, err
	}
	if n != 0 {
		return load[client](t.reader, nameClient(n))
	}
	cl := &client{Schema: recordSchema, Number: c.NextClient, Issuer: tok.Issuer, Name: tok.Client}
	if tok.Client == "" {
		cl.Hash = append([]byte(nil), tok.Hash[:]...)
	}
	c.NextClient++
	return cl, t.setIndex(clientNames, text, cl.Number)
}

// crowdedOut makes room among a client's tokens: those that end first go, and
// the sweep judges the memberships that rested on them.
func (t *txn) crowdedOut(cl *client, keep uint64) (associations []uint64, err error) {
	for len(cl.Tokens) > maxClientTokens {
		first := -1
		for i, e := range cl.Tokens {
			if e.ID != keep && (first < 0 || e.Expires < cl.Tokens[first].Expires) {
				first = i
			}
		}
		e := cl.Tokens[first]
		if e.Assoc != 0 {
			associations = append(associations, e.Assoc)
		}
		if err := t.delete(nameExpiry(e.Expires, e.ID)); err != nil {
			return nil, err
		}
		if err := t.put(nameExpiry(t.now.Unix(), e.ID), cl.Number); err != nil {
			return nil, err
		}
		if err := t.setIndex(tokenHashes, string(e.Hash), 0); err != nil {
			return nil, err
		}
		cl.Tokens = slices.Delete(cl.Tokens, first, first+1)
	}
	return associations, nil
}

// dropAssociation ends an association: its record and its sequence numbers go,
// and its context, unless a notice still needs them; then settling it does this.
func (t *txn) dropAssociation(a uint64) error {
	if a == 0 {
		return nil
	}
	needed := false
	err := t.Scan(nameAllNotices(), func(n keystore.Name, b []byte) error {
		v, err := decode[notice](n, b)
		if err == nil && v.Assoc == a {
			needed = true
			return keystore.ErrStop
		}
		return err
	})
	if err != nil || needed {
		return err
	}
	return t.eraseAssociation(a)
}

func (t *txn) eraseAssociation(a uint64) error {
	t.after(func() { t.s.sessions.Drop(a) })
	if err := t.delete(nameAssociationSeq(a)); err != nil {
		return err
	}
	return t.delete(nameAssociation(a))
}

// dropToken takes a token out of its client's record, and the client out of the
// store when nothing is left of it.
func (t *txn) dropToken(cl *client, id uint64) error {
	if e := cl.byID(id); e != nil {
		if err := t.setIndex(tokenHashes, string(e.Hash), 0); err != nil {
			return err
		}
	}
	cl.Tokens = slices.DeleteFunc(cl.Tokens, func(e tokenEntry) bool { return e.ID == id })
	left, err := t.firstNames(nameMembershipsOf(cl.Number), 1)
	if err != nil {
		return err
	}
	if len(cl.Tokens) > 0 || len(left) > 0 {
		return t.putClient(cl)
	}
	text := identityText(&ace.Token{Issuer: cl.Issuer, Client: cl.Name, Hash: ace.TokenHash(padHash(cl.Hash))})
	if err := t.setIndex(clientNames, text, 0); err != nil {
		return err
	}
	return t.delete(nameClient(cl.Number))
}

func padHash(b []byte) (h ace.TokenHash) {
	copy(h[:], b)
	return h
}

// ReplaceToken implements ace.TokenStore: an update of access rights keeps the
// association and the challenge and replaces scope and expiry (RFC 9203,
// Section 4.1). Memberships that the new rights do not cover end. An entry in the
// list of expiries, due now, is the intent: the sweep takes up what is left.
func (s *Service) ReplaceToken(ctx context.Context, assoc uint64, tok *ace.Token) error {
	if err := s.ready(); err != nil {
		return err
	}
	var due []dueToken
	err := s.update(ctx, func(t *txn) error {
		rec, err := load[association](t.reader, nameAssociation(assoc))
		if errors.Is(err, keystore.ErrNotFound) {
			return refuse(KindUnauthorized, "no such association")
		}
		if err != nil {
			return err
		}
		cl, err := load[client](t.reader, nameClient(rec.Client))
		if err != nil {
			return err
		}
		e := cl.byAssoc(assoc)
		if e == nil || !t.now.Before(tok.Expires) {
			return refuse(KindUnauthorized, "no valid access token")
		}
		if err := t.delete(nameExpiry(e.Expires, e.ID)); err != nil {
			return err
		}
		if err := t.setIndex(tokenHashes, string(e.Hash), 0); err != nil {
			return err
		}
		e.Hash, e.Scope, e.Expires = append([]byte(nil), tok.Hash[:]...), tok.Scope.Marshal(), tok.Expires.Unix()
		e.Revoked = false
		if e.Challenge == nil {
			e.Challenge = tok.Challenge
		}
		tok.ID = e.ID
		for _, at := range []int64{t.now.Unix(), e.Expires} {
			if err := t.put(nameExpiry(at, e.ID), cl.Number); err != nil {
				return err
			}
		}
		if err := t.setIndex(tokenHashes, string(e.Hash), cl.Number); err != nil {
			return err
		}
		t.audit(AuditEvent{Event: "token.replaced", Client: cl.label()})
		due = []dueToken{{client: cl.Number}}
		return t.putClient(cl)
	})
	if err != nil {
		return err
	}
	defer s.wakeSweep()
	_, err = s.evictUncovered(ctx, due, CauseTokenRevoked, nil)
	return err
}

func newAssociation(n, client uint64, p oscore.Params) *association {
	return &association{
		Schema: recordSchema, Number: n, Client: client, Secret: p.MasterSecret.Clone(), Salt: p.MasterSalt.Clone(),
		Sender: p.SenderID, Peer: p.RecipientID, Context: p.IDContext, AEAD: int64(p.AEAD), HKDF: int64(p.HKDF),
	}
}

// params gives the inputs from which the context is derived.
func (a *association) params() oscore.Params {
	return oscore.Params{
		MasterSecret: a.Secret.Clone(), MasterSalt: a.Salt.Clone(), SenderID: a.Sender, RecipientID: a.Peer, IDContext: a.Context,
		AEAD: cose.Algorithm(a.AEAD), HKDF: cose.Algorithm(a.HKDF),
	}
}

// StoredAssociation is an association that outlived a restart.
type StoredAssociation struct {
	Number  uint64
	Client  uint64
	Params  oscore.Params
	Expires time.Time // of its token; zero when no token is left and a notice is owed
}

// Associations calls f for each association that is kept: what an adapter loads
// when it starts. Their replay windows are lost, so they must be invalid until
// the peer has shown freshness (RFC 8613, Appendix B.1.2).
func (s *Service) Associations(f func(StoredAssociation) error) error {
	return s.view(func(r reader) error {
		c, err := r.counters()
		if err != nil {
			return err
		}
		return r.Scan(nameAssociations(), func(n keystore.Name, b []byte) error {
			a, err := decode[association](n, b)
			if err != nil || a.Number < c.AssocFloor {
				return err
			}
			cl, err := load[client](r, nameClient(a.Client))
			if err != nil {
				return ignoreNotFound(err)
			}
			out := StoredAssociation{Number: a.Number, Client: a.Client, Params: a.params()}
			if e := cl.byAssoc(a.Number); e != nil {
				out.Expires = time.Unix(e.Expires, 0).UTC()
			}
			return f(out)
		})
	})
}

// ClientOf gives the client of an association, for the Caller of its requests;
// KindUnauthorized when there is no such association.
func (s *Service) ClientOf(assoc uint64) (c uint64, err error) {
	err = s.view(func(r reader) error {
		a, err := load[association](r, nameAssociation(assoc))
		if errors.Is(err, keystore.ErrNotFound) {
			return refuse(KindUnauthorized, "no such association")
		}
		if err != nil {
			return err
		}
		c = a.Client
		return nil
	})
	return c, err
}

// Token gives the access token of an association as it stands, for an update of
// rights; KindUnauthorized when there is none that is valid.
func (s *Service) Token(c Caller) (*ace.Token, error) {
	var out *ace.Token
	err := s.view(func(r reader) error {
		cl, e, err := r.caller(c, s.clock.Now())
		if err != nil {
			return err
		}
		scope, err := ace.ParseScope(e.Scope)
		out = &ace.Token{
			ID: e.ID, Hash: padHash(e.Hash), Issuer: cl.Issuer, Client: cl.Name, Scope: scope, Expires: time.Unix(e.Expires, 0).UTC(),
			Material: ace.OSCOREInputMaterial{ID: e.Material}, Challenge: e.Challenge,
		}
		return err
	})
	return out, err
}

// AssociationSequence names the record of the Group Manager's own sequence
// numbers under an association. A number once reserved is never used again; an
// association without the record has used none.
func AssociationSequence(a uint64) keystore.Name { return nameAssociationSeq(a) }
