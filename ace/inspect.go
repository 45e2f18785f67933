package ace

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// Inspection is what can be said of a token by looking at it. Its claims print without secrets.
type Inspection struct {
	Hash     TokenHash
	Shape    string   // such as "61(16([…]))"; empty if it is no CWT
	Strict   bool     // its tags and headers are what RFC 9770, Section 3 leaves
	Alg      string   // algorithm of the outermost layer
	KID      []byte   // key identifier of the outermost layer; nil if absent
	Issuer   string   // whose key opened it; empty if none did
	Nested   bool     // signed, then encrypted
	Claims   *Claims  // nil if it was not opened, or its claims cannot be read whole
	Refusal  *Error   // why it would be refused in an unprotected post; nil: it would be taken
	Bound    string   // what kind of key it is bound to
	Warnings []string // what else an operator might want to know
}

// Inspect judges what somebody presented as a token as PostToken would, and tells what it sees on the way. It changes nothing: no
// association comes of it, the time of a token with exi does not begin, and the issuer is not asked.
func (s *ResourceServer) Inspect(info []byte) *Inspection {
	trusted := *s.issuers.Load()
	o, wellformed, err := openInfo(info, trusted)
	v := &Inspection{}
	v.look(info)
	if err != nil {
		v.Refusal = refuse(RefusedWrapper, err)
		if !wellformed {
			v.Refusal = refuse(RefusedMalformed, err)
		}
		if as := referrer(trusted); as != nil {
			v.Warnings = append(v.Warnings, fmt.Sprintf("%q is asked whether it is a reference of its own", as.Issuer))
		}
		return v
	}
	v.Issuer, v.Nested, v.Hash = o.as.Issuer, o.signed && o.encrypted, o.hash
	c, err := readClaims(o.claims)
	if err != nil {
		v.Refusal = refuse(RefusedClaims, err)
		return v
	}
	whole := *c
	if claims, err := whole.whole(); err == nil {
		v.Claims, v.Bound = claims, claims.Cnf.kind()
	}
	v.Refusal = s.inspectClaims(c, o)
	if o.as.Introspect {
		v.Warnings = append(v.Warnings, "its issuer is asked before it is taken")
	}
	return v
}

func (s *ResourceServer) inspectClaims(c *rawClaims, o *opened) *Error {
	if s.cfg.Revoked(o.hash) {
		return refuse(RefusedRevoked, fmt.Errorf("%w: revoked", ErrToken))
	}
	v, err := s.judge(c, o.as.Issuer)
	if e, ok := isError(err); ok {
		return e
	}
	switch {
	case !o.encrypted && v.cnf.secretInClear():
		return refuse(RefusedConfirmation, ErrSecretInClear)
	case v.cnf.OSC == nil:
		return refuse(RefusedBinding, fmt.Errorf("%w: it only updates the rights of an association", ErrToken))
	case c.Exi == 0:
		return nil
	}
	n, err := exiNumber(c.ID, s.cfg.Audience)
	if err != nil {
		return refuse(RefusedClaims, err)
	}
	if err := s.cfg.Exi.check(o.as.Issuer, n, o.hash); err != nil {
		return refuseExi(err)
	}
	return nil
}

// look describes the outermost layer, as far as it can be seen without a key.
func (v *Inspection) look(info []byte) {
	v.Hash = HashToken(info)
	if token, ok := tokenOfText(info); ok && cborx.Wellformed(info) != nil {
		v.Warnings = append(v.Warnings, "this is the base64url text of a token")
		info, v.Hash = token, HashToken(token)
	}
	l, ok, err := nextLayer(info, true)
	if err != nil || !ok {
		return
	}
	var form []byte
	if l.kind == tagEncrypt0 {
		v.Shape = "16([…])"
		if m, err := cose.ParseEncrypt0(l.body); err == nil {
			v.Alg, v.KID, form = m.Alg.String(), m.KID, strictEncrypted(m, true)
		}
	} else {
		v.Shape = "18([…])"
		if m, err := cose.ParseSign1(l.body); err == nil {
			v.Alg, v.KID, form = m.Alg.String(), m.KID, strictSigned(m, true)
		}
	}
	if v.Strict = bytes.Equal(info, form); bytes.HasPrefix(info, []byte(prefixEncrypted[:2])) {
		v.Shape = "61(" + v.Shape + ")"
	}
}

// kind names the kind of key.
func (c *Confirmation) kind() string {
	switch {
	case c == nil:
		return ""
	case c.OSC != nil:
		return "OSCORE input material"
	case c.KID != nil:
		return "key known by its identifier"
	case c.EncryptedKey != nil:
		return "encrypted key"
	}
	if k, err := ParsePoPKey(c.Key.Bytes()); err != nil {
		return "unusable key"
	} else if k.Public != nil {
		return "public key"
	}
	return "symmetric key"
}

// InspectToken judges what somebody presented as a token as a Resource Server of that configuration would that has not seen any
// token yet. Of the configuration what has to do with tokens counts.
func InspectToken(cfg RSConfig, info []byte) (*Inspection, error) {
	cfg.MayBeAlone = true
	cfg.AllocateID = func([]byte) ([]byte, error) { return nil, errNothing }
	if cfg.Exi == nil && cfg.Clock != nil {
		var err error
		if cfg.Exi, err = NewExiTable(cfg.Clock, nothing{}, 0); err != nil {
			return nil, err
		}
	}
	s, err := NewResourceServer(cfg, nothing{})
	if err != nil {
		return nil, err
	}
	return s.Inspect(info), nil
}

var errNothing = errors.New("nothing is stored here")

// nothing is the store of one who only looks.
type nothing struct{}

func (nothing) Confirm(context.Context, *Association) ([]uint64, error) { return nil, errNothing }
func (nothing) ReplaceToken(context.Context, uint64, *Token) error      { return errNothing }
func (nothing) LoadExi() ([]ExiIssuer, error)                           { return nil, nil }
func (nothing) SaveExi(context.Context, []ExiIssuer) error              { return errNothing }
