package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// CredsRequest asks for credentials of some members: the payload of FETCH /ace-group/GROUPNAME/creds (RFC 9594,
// Section 4.4.1).
type CredsRequest struct {
	Filter CredsFilter
}

// Marshal returns the request as a map.
func (q *CredsRequest) Marshal() []byte {
	var w wire.Writer
	w.Raw(paramGetCreds, q.Filter.marshal())
	return w.Encode()
}

// ParseCredsRequest reads a request. One whose two filters are empty is malformed.
func ParseCredsRequest(b []byte) (*CredsRequest, error) {
	r := wire.NewReader(b)
	r.Require(paramGetCreds)
	f, _ := wire.Field(r, paramGetCreds, parseFilter)
	if err := f.CheckFetch(); err != nil {
		r.Fail(err)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &CredsRequest{Filter: f}, nil
}

// CredsResponse gives credentials of members, in answer to a FETCH or a GET of the creds resource (RFC 9594, Section 4.4).
// A FETCH that found none of the members it asked for gets [EmptyResult] instead, which does not say a version.
type CredsResponse struct {
	Version uint64 // num of the current keying material
	Peers   Peers
}

// Marshal returns the response as a map.
func (p *CredsResponse) Marshal() []byte {
	var w wire.Writer
	w.Uint(paramNum, p.Version)
	peers := p.Peers
	if peers == nil {
		peers = Peers{}
	}
	peers.write(&w)
	return w.Encode()
}

// ParseCredsResponse reads a response; nil for [EmptyResult].
func ParseCredsResponse(b []byte) (*CredsResponse, error) {
	if IsEmptyResult(b) {
		return nil, nil
	}
	r := wire.NewReader(b)
	r.Require(paramNum, paramCreds, paramPeerIdentifiers)
	p := &CredsResponse{}
	p.Version, _ = r.Uint(paramNum)
	p.Peers = readPeers(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}
