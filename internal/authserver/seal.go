package authserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/ace"
)

// draw draws the numbers of a token, and the keys and the nonce that protect it.
func (i *issue) draw(material uint64) error {
	n, err := loadCounters(i.tx)
	if err != nil {
		return err
	}
	n.Token++
	now := i.now.Unix()
	if i.rs.Form != FormSigned {
		key, nonce, err := i.rs.sealingKey(now, i.take(tokenNonceSize-counterSize))
		if err != nil {
			return err
		}
		i.key, i.nonce = key.public(), nonce
	}
	if i.rs.Form.signs() {
		keys, err := loadSigning(i.tx)
		if err != nil {
			return err
		}
		k := keys.current(now)
		if k == nil {
			return fmt.Errorf("%w: no key that signs tokens", ErrInvalid)
		}
		i.signer = *k
	}
	i.claims = &ace.Claims{
		Issuer: i.s.cfg.Issuer, Subject: i.client.Name, Audience: []string{i.rs.Audience}, Expires: i.expires, IssuedAt: i.now,
		Scope: i.scope, ExtendedScope: i.rs.Extended, Profile: i.profile, CNonce: i.request.CNonce, Cnf: i.cnf,
	}
	if i.rs.Exi {
		i.claims.ID, i.claims.Exi = i.rs.exiCTI(), uint64(i.rs.Lifetime)
	} else {
		i.claims.ID = plainCTI(n.Token, i.take(ctiRandom))
	}
	i.rec = &tokenRecord{
		Schema: schema, Number: n.Token, Client: i.client.Number, RS: i.rs.Number, Material: material,
		Scope: i.scope.Marshal(), Issued: now, Expires: i.expires.Unix(),
	}
	writes := []error{put(i.tx, nameCounters(), n)}
	if !i.rs.isGroup() { // a signed token for several changes nothing there
		writes = append(writes, put(i.tx, nameRS(i.rs.Number), i.rs))
	}
	return errors.Join(writes...)
}

// sign protects a token by the key of this server, outside of any transaction.
func (i *issue) sign() error {
	k, err := i.signer.sign()
	if err != nil {
		return err
	}
	if i.rs.Form == FormSigned {
		i.token, err = ace.SignToken(k, i.claims)
	} else {
		i.token, err = ace.SealSignedToken(i.key, i.nonce, k, i.claims)
	}
	return err
}

// store writes down that a token was made.
func (i *issue) store(ctx context.Context) error {
	hash := ace.HashToken(i.token)
	i.rec.Hash = hash[:]
	return errors.Join(
		i.s.putToken(i.tx, i.rec),
		i.s.audit(ctx, i.tx, auditEvent{
			Event: "token.issued", Actor: i.client.Name, Client: i.client.Name, Audience: i.rs.Audience, Scope: i.scope.String(),
			Token: hash.String(),
		}),
	)
}
