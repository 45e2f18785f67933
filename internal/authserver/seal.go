package authserver

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cohort-iot/cohort/ace"
)

// seal makes the token and writes down that it was made.
func (i *issue) seal(ctx context.Context, material uint64, cnf *ace.Confirmation) ([]byte, error) {
	n, err := loadCounters(i.tx)
	if err != nil {
		return nil, err
	}
	n.Token++
	key, nonce, err := i.rs.sealingKey(i.take(tokenNonceSize - counterSize))
	if err != nil {
		return nil, err
	}
	cti := append(binary.BigEndian.AppendUint64(nil, n.Token), i.take(ctiRandom)...)
	token, err := ace.SealToken(key.public(), nonce, &ace.Claims{
		Issuer: i.s.cfg.Issuer, Subject: i.client.Name, Audience: []string{i.rs.Audience}, Expires: i.expires, IssuedAt: i.now,
		ID: cti, Scope: i.scope, ExtendedScope: i.rs.Extended, Profile: ace.ProfileCoAPOSCORE, CNonce: i.request.CNonce, Cnf: cnf,
	})
	if err != nil {
		return nil, err
	}
	hash := ace.HashToken(token)
	rec := &tokenRecord{
		Schema: schema, Number: n.Token, Client: i.client.Number, RS: i.rs.Number, Material: material, Hash: hash[:],
		Scope: i.scope.Marshal(), Issued: i.now.Unix(), Expires: i.expires.Unix(),
	}
	return token, errors.Join(
		put(i.tx, nameCounters(), n),
		put(i.tx, nameRS(i.rs.Number), i.rs),
		i.s.putToken(i.tx, rec),
		i.s.audit(ctx, i.tx, auditEvent{
			Event: "token.issued", Actor: i.client.Name, Client: i.client.Name, Audience: i.rs.Audience, Scope: i.scope.String(),
			Token: hash.String(),
		}),
	)
}
