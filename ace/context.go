package ace

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/oscore"
)

// ErrIdentifier is wrapped when the two OSCORE Recipient IDs cannot be used together.
var ErrIdentifier = errors.New("unusable OSCORE identifiers")

// ClientContext derives the Client's side of the Security Context with a Resource Server (RFC 9203, Section 4.3).
//
// n1 and id1 are the nonce and the Recipient ID the Client sent, n2 and id2 those it received. The Client aborts on an error,
// which wraps [ErrIdentifier] or [ErrInputMaterial]; it may then post the token again.
func (m OSCOREInputMaterial) ClientContext(n1, n2, id1, id2 []byte) (oscore.Params, error) {
	return m.params(n1, n2, id1, id2, false)
}

// ServerContext derives the Resource Server's side of the Security Context with a Client (RFC 9203, Section 4.3). The arguments
// are those of [OSCOREInputMaterial.ClientContext].
func (m OSCOREInputMaterial) ServerContext(n1, n2, id1, id2 []byte) (oscore.Params, error) {
	return m.params(n1, n2, id1, id2, true)
}

func (m OSCOREInputMaterial) params(n1, n2, id1, id2 []byte, server bool) (oscore.Params, error) {
	if m.MasterSecret.Len() == 0 || n1 == nil || n2 == nil || id1 == nil || id2 == nil {
		return oscore.Params{}, ErrInputMaterial
	}
	if err := errors.Join(m.checkID(id1), m.checkID(id2)); err != nil {
		return oscore.Params{}, err
	}
	if bytes.Equal(id1, id2) { // RFC 9203, Section 4.3: the Client aborts
		return oscore.Params{}, fmt.Errorf("%w: both sides have the same", ErrIdentifier)
	}
	sender, recipient := id2, id1
	if server {
		sender, recipient = id1, id2
	}
	return oscore.Params{
		MasterSecret: m.MasterSecret.Bytes().Clone(),
		MasterSalt:   m.masterSalt(n1, n2),
		SenderID:     bytes.Clone(sender),
		RecipientID:  bytes.Clone(recipient),
		IDContext:    bytes.Clone(m.ContextID),
		AEAD:         m.aead(),
		HKDF:         m.hkdf(),
	}, nil
}
