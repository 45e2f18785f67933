package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// GidsRequest asks which groups some Gids belong to: the payload of FETCH /ace-group (RFC 9594, Section 4.2.1).
type GidsRequest struct {
	Gids [][]byte // at least one
}

// Marshal returns the request as a map.
func (q *GidsRequest) Marshal() []byte {
	var w wire.Writer
	w.BytesArray(paramGid, q.Gids)
	return w.Encode()
}

// ParseGidsRequest reads a request.
func ParseGidsRequest(b []byte) (*GidsRequest, error) {
	r := wire.NewReader(b)
	r.Require(paramGid)
	q := &GidsRequest{Gids: identifiers(r, paramGid)}
	if len(q.Gids) == 0 || len(q.Gids) > maxFilter {
		r.Failf("%d Gids asked for", len(q.Gids))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}

// GidsResponse says which groups the known ones among the requested Gids belong to. One without groups is [EmptyResult].
type GidsResponse struct {
	Groups []GidGroup
}

// GidGroup is one group.
type GidGroup struct {
	Gid  []byte
	Name string
	URI  string // of the group's resource at the Group Manager
}

// Marshal returns the response as a map, or [EmptyResult].
func (p *GidsResponse) Marshal() []byte {
	if len(p.Groups) == 0 {
		return []byte(EmptyResult)
	}
	var gids [][]byte
	var names, uris []string
	for _, g := range p.Groups {
		gids, names, uris = append(gids, g.Gid), append(names, g.Name), append(uris, g.URI)
	}
	var w wire.Writer
	w.BytesArray(paramGid, gids)
	w.TextArray(paramGName, names)
	w.TextArray(paramGURI, uris)
	return w.Encode()
}

// ParseGidsResponse reads a response.
func ParseGidsResponse(b []byte) (*GidsResponse, error) {
	if IsEmptyResult(b) {
		return &GidsResponse{}, nil
	}
	r := wire.NewReader(b)
	r.Require(paramGid, paramGName, paramGURI)
	gids, names, uris := identifiers(r, paramGid), r.TextArray(paramGName), r.TextArray(paramGURI)
	if len(names) != len(gids) || len(uris) != len(gids) {
		r.Failf("gid, gname and guri do not match")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	p := &GidsResponse{Groups: make([]GidGroup, len(gids))}
	for i := range gids {
		p.Groups[i] = GidGroup{Gid: gids[i], Name: names[i], URI: uris[i]}
	}
	return p, nil
}
