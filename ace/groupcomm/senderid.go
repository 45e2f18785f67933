package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// SenderIDResponse gives a member a new Sender ID: the answer to POST of its node resource when the Group Manager does not
// rekey instead (ace-key-groupcomm-oscore, Section 9.2).
type SenderIDResponse struct {
	SenderID []byte // group_senderId
}

// Marshal returns the response as a map.
func (p SenderIDResponse) Marshal() []byte {
	var w wire.Writer
	id := p.SenderID
	if id == nil {
		id = []byte{}
	}
	w.Bytes(paramGroupSenderID, id)
	return w.Encode()
}

// Renewal is what a member gets when it asks for new individual keying material: exactly one of the two is not nil.
type Renewal struct {
	SenderID *SenderIDResponse
	Rekey    *RekeyMessage
}

// ParseRenewal reads the answer to POST of a node resource, of either kind.
func ParseRenewal(b []byte) (Renewal, error) {
	r := wire.NewReader(b)
	if r.Err() == nil && r.Has(paramKey) {
		m, err := ParseRekeyMessage(b)
		return Renewal{Rekey: m}, err
	}
	r.Require(paramGroupSenderID)
	p := &SenderIDResponse{SenderID: sized(r, paramGroupSenderID, 0, maxIdentifier)}
	if err := r.Err(); err != nil {
		return Renewal{}, err
	}
	return Renewal{SenderID: p}, nil
}
