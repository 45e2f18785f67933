package groupcomm

import (
	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Peers are members of a group with what one needs to talk to them: the parameters creds, peer_roles and peer_identifiers,
// whose elements of equal index belong together (RFC 9594, Section 4.3.1).
type Peers []Peer

// Peer is one member. A monitor has no credential and so is never among Peers.
type Peer struct {
	Credential []byte    // in the group's format, byte by byte as the member uploaded it
	Roles      ace.Roles // 0 if the message did not say
	SenderID   []byte
}

// write adds the three parameters. Nil Peers leave them out; empty ones give empty arrays.
func (p Peers) write(w *wire.Writer) {
	if p == nil {
		return
	}
	creds := make([][]byte, len(p))
	roles := make([]ace.Roles, len(p))
	ids := make([][]byte, len(p))
	for i, m := range p {
		creds[i], roles[i], ids[i] = m.Credential, m.Roles, m.SenderID
	}
	w.BytesArray(paramCreds, creds)
	wire.Add(w, paramPeerRoles, roles, appendRoles)
	w.BytesArray(paramPeerIdentifiers, ids)
}

// readPeers reads the three parameters: none of them, creds and peer_identifiers, or all three, of equal lengths.
func readPeers(r *wire.Reader) Peers {
	creds := sizedArray(r, paramCreds, maxCredential)
	roles := wire.List(r, paramPeerRoles, parseRoles)
	ids := identifiers(r, paramPeerIdentifiers)
	if creds == nil && roles == nil && ids == nil {
		return nil
	}
	if creds == nil || ids == nil || len(ids) != len(creds) || (roles != nil && len(roles) != len(creds)) {
		r.Failf("creds, peer_roles and peer_identifiers do not match")
		return nil
	}
	p := make(Peers, len(creds))
	for i := range p {
		p[i] = Peer{Credential: creds[i], SenderID: ids[i]}
		if roles != nil {
			p[i].Roles = roles[i]
		}
	}
	return p
}
