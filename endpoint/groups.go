package endpoint

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// GroupOptions says how an endpoint serves a group.
type GroupOptions struct {
	// ResponseMode chooses GroupMode or PairwiseMode for the responses to a
	// peer. Default: the mode of the request.
	ResponseMode func(Peer) Mode
	// Association becomes Peer.Association.
	Association any
}

// groupEntry is a group with what its owner attached.
type groupEntry struct {
	group *grouposcore.Group
	opts  GroupOptions
}

// AddGroup adds a group. Its rekeys need no further call: the group knows its
// present and former Gid. Adding a group again changes its options.
func (c *Contexts) AddGroup(g *grouposcore.Group, o GroupOptions) {
	c.mu.Lock()
	defer c.mu.Unlock()
	groups := slices.DeleteFunc(slices.Clone(c.groups), func(e *groupEntry) bool { return e.group == g })
	c.groups = append(groups, &groupEntry{g, o})
	if c.budget == nil {
		c.budget = grouposcore.NewFailureBudget(c.FailuresPerSecond)
	}
}

// RemoveGroup removes a group.
func (c *Contexts) RemoveGroup(g *grouposcore.Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groups = slices.DeleteFunc(slices.Clone(c.groups), func(e *groupEntry) bool { return e.group == g })
}

// openGroup opens a request under the groups with this Gid. Gids of different
// Group Managers may be equal: then each group is tried
// (draft-ietf-core-oscore-groupcomm, Section 6).
func (c *Contexts) openGroup(m message.Message, opt coapmsg.OSCOREOption, from netip.Addr) (*Opened, error) {
	c.mu.RLock()
	groups, budget := c.groups, c.budget
	c.mu.RUnlock()
	now := c.now()
	err := error(ErrNoContext)
	for _, e := range groups {
		if !e.group.Matches(opt.KIDContext, now) {
			continue
		}
		if !budget.Allow(opt.KIDContext, opt.KID, from, now) {
			return nil, ErrOverBudget
		}
		in, x, who, gerr := e.group.UnprotectRequest(m, now)
		budget.Report(opt.KIDContext, opt.KID, from, now, gerr)
		if x != nil { // it verified
			o := e.opened(c, in, x, who)
			if gerr != nil {
				o.Fresh = func() error {
					now := c.now()
					err := e.group.ConfirmFresh(x, now)
					if err == nil {
						budget.Report(opt.KIDContext, opt.KID, from, now, nil)
					}
					return err
				}
			}
			return o, nil
		}
		if !errors.Is(gerr, grouposcore.ErrNoContext) {
			err = groupError(gerr, opt.KIDContext, opt.KID)
		}
	}
	return nil, err
}

func groupError(err error, gid, kid []byte) error {
	if errors.Is(err, grouposcore.ErrNoCredential) {
		return &MissingCredential{Gid: gid, SenderID: kid}
	}
	if code, diagnostic, _, ok := grouposcore.ErrorResponse(err); ok {
		return &Refusal{Code: code, Diagnostic: diagnostic, Err: err}
	}
	return err
}

func (e *groupEntry) opened(c *Contexts, m message.Message, x *grouposcore.Exchange, from grouposcore.Sender) *Opened {
	peer := groupPeer(from, e.opts.Association)
	return &Opened{
		Message: m,
		Peer:    peer,
		Context: e.group,
		Protect: func(resp message.Message, o ProtectOptions) (message.Message, error) {
			mode := peer.Mode
			if e.opts.ResponseMode != nil {
				mode = e.opts.ResponseMode(peer)
			}
			resp, err := e.group.ProtectResponse(resp, x, grouposcore.ResponseOptions{Mode: groupMode(mode), PIV: o.PIV})
			c.checkSequence(e.group.Current().Sequence())
			return resp, err
		},
	}
}

func groupPeer(s grouposcore.Sender, assoc any) Peer {
	p := Peer{Mode: GroupMode, SenderID: s.ID, Gid: s.Gid, Credential: s.Credential, Association: assoc}
	if s.Mode == grouposcore.PairwiseMode {
		p.Mode = PairwiseMode
	}
	return p
}

func groupMode(m Mode) grouposcore.Mode {
	if m == PairwiseMode {
		return grouposcore.PairwiseMode
	}
	return grouposcore.GroupMode
}
