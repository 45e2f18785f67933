package member

import (
	"context"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// GroupOfGid is a group that has a Gid now.
type GroupOfGid struct {
	Gid  []byte
	Name string
	URI  string // of its resource at the Group Manager, as that gives it; never followed by the device
}

// GroupsOfGids asks the Group Manager which groups have some Gids now (RFC 9594,
// Section 4.2.1). Gids of earlier versions, and of other Group Managers, are
// left out.
func (d *Device) GroupsOfGids(ctx context.Context, gids ...[]byte) ([]GroupOfGid, error) {
	r, err := d.manager(ctx, gmRequest{
		op: "groups of gids", code: coapmsg.FETCH, path: "ace-group",
		format: ace.ContentFormatGroupcomm, payload: (&groupcomm.GidsRequest{Gids: gids}).Marshal(),
	})
	if err != nil || r.Code != codes.Content {
		return nil, err
	}
	p, err := groupcomm.ParseGidsResponse(r.Payload)
	if err != nil {
		return nil, err
	}
	var list []GroupOfGid
	for _, g := range p.Groups {
		list = append(list, GroupOfGid{Gid: g.Gid, Name: g.Name, URI: g.URI})
	}
	return list, nil
}
