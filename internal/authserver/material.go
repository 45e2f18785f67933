package authserver

import (
	"bytes"
	"errors"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// bind returns the number of the input material the token is bound to, and notes how the token says so: new material; earlier
// material by its identifier, to update rights (RFC 9203, Sections 3.1 and 3.2); or a public key of the client, whose number is 0.
func (i *issue) bind() (material uint64, err error) {
	switch req := i.request.ReqCnf; {
	case req == nil:
		material, i.cnf, err = i.newMaterial()
	case req.KID != nil:
		material, i.cnf, err = i.oldMaterial(req.KID)
	case req.OSC != nil:
		return 0, deny(ace.InvalidRequest, "a client proposes no input material")
	case !req.Key.IsZero(): // judged already
		i.cnf = &ace.Confirmation{Key: req.Key.Clone()}
	default:
		return 0, deny(ace.UnsupportedPoPKey, "only keys made by this server, or public ones, are served")
	}
	return material, err
}

// ownKey judges a key that the client proposes: a public one that the operator has vouched for (RFC 9201, Section 3.1).
func (i *issue) ownKey() error {
	k, err := ace.ParsePoPKey(i.request.ReqCnf.Key.Bytes())
	switch {
	case err != nil:
		return deny(ace.UnsupportedPoPKey, "%w", err)
	case k.Public == nil:
		return deny(ace.InvalidRequest, "a client proposes no symmetric key")
	case i.client.Key == nil:
		return deny(ace.UnsupportedPoPKey, "no key of this client is known")
	}
	known, err := cose.ParsePublicKey(i.client.Key)
	if err != nil {
		return err
	}
	if !known.Equal(k.Public) {
		return deny(ace.UnsupportedPoPKey, "not the key that is known of this client")
	}
	return nil
}

// newMaterial makes material that no other client and no other resource server ever gets.
func (i *issue) newMaterial() (uint64, *ace.Confirmation, error) {
	n, err := loadCounters(i.tx)
	if err != nil {
		return 0, nil, err
	}
	n.Material++
	if err := put(i.tx, nameCounters(), n); err != nil {
		return 0, nil, err
	}
	m := &materialRecord{Schema: schema, Client: i.client.Number, RS: i.rs.Number, Until: i.expires.Unix()}
	if err := put(i.tx, nameMaterial(n.Material), m); err != nil {
		return 0, nil, err
	}
	return n.Material, &ace.Confirmation{OSC: &ace.OSCOREInputMaterial{
		ID: numberID(n.Material), MasterSecret: secret.Hide(i.take(secretSize)), Salt: secret.Hide(i.take(saltSize)),
	}}, nil
}

// oldMaterial finds material that was issued to this client for this resource server and is still bound to a valid token.
func (i *issue) oldMaterial(kid []byte) (uint64, *ace.Confirmation, error) {
	n, ok := idNumber(kid)
	if !ok {
		return 0, nil, deny(ace.InvalidRequest, "req_cnf names no input material of this server")
	}
	m, err := load[materialRecord](i.tx, nameMaterial(n))
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return 0, nil, err
	}
	if err != nil || m.Client != i.client.Number || m.RS != i.rs.Number || m.Until <= i.now.Unix() {
		return 0, nil, deny(ace.InvalidRequest, "req_cnf names no input material of this client for this audience")
	}
	m.Until = max(m.Until, i.expires.Unix())
	return n, &ace.Confirmation{KID: bytes.Clone(kid)}, put(i.tx, nameMaterial(n), m)
}
