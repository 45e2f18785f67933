package endpoint

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// WithOSCORE returns a Protector for requests to the one peer of a context.
func WithOSCORE(ctx *oscore.Context) Protector { return oscoreProtector{ctx} }

type oscoreProtector struct{ ctx *oscore.Context }

func (p oscoreProtector) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	m, x, err := p.ctx.ProtectRequest(m, oscore.RequestOptions{})
	return m, oscoreOpener{p.ctx, x}, err
}

type oscoreOpener struct {
	ctx *oscore.Context
	x   *oscore.Exchange
}

func (o oscoreOpener) OpenResponse(m message.Message, _ time.Time) (message.Message, Peer, error) {
	m, err := o.ctx.UnprotectResponse(m, o.x)
	return m, oscorePeer(o.ctx, nil), err
}

// WithGroup returns a Protector for requests in group mode: signed, and
// readable by every member.
func WithGroup(g *grouposcore.Group) Protector {
	return &groupProtector{g, grouposcore.RequestOptions{Mode: grouposcore.GroupMode}}
}

// WithPairwise returns a Protector for requests in pairwise mode to the member
// with the Sender ID to.
func WithPairwise(g *grouposcore.Group, to []byte) Protector {
	return &groupProtector{g, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: to}}
}

type groupProtector struct {
	group *grouposcore.Group
	opts  grouposcore.RequestOptions
}

func (p *groupProtector) ProtectRequest(m message.Message) (message.Message, ResponseOpener, error) {
	m, x, err := p.group.ProtectRequest(m, p.opts)
	if err != nil {
		return m, nil, err
	}
	return m, groupOpener{p.group, x}, nil
}

// unicast implements unicaster. A known member is asked in pairwise mode if the
// group has it (draft-ietf-core-oscore-groupcomm, Section 9).
func (p *groupProtector) unicast(to *Peer) Protector {
	if p.opts.Mode == grouposcore.PairwiseMode {
		return p
	}
	if to != nil && p.group.Current().Supports(grouposcore.PairwiseMode) {
		return WithPairwise(p.group, to.SenderID)
	}
	opts := p.opts
	opts.Unicast = true
	return &groupProtector{p.group, opts}
}

type groupOpener struct {
	group *grouposcore.Group
	x     *grouposcore.Exchange
}

func (o groupOpener) OpenResponse(m message.Message, at time.Time) (message.Message, Peer, error) {
	in, from, err := o.group.UnprotectResponse(m, o.x, at)
	if err != nil {
		gid, kid := o.x.Gid(), []byte(nil)
		if v, n := coapmsg.FindOSCORE(m.Options); n == 1 {
			if opt, perr := coapmsg.ParseOSCOREOption(v); perr == nil {
				kid = opt.KID
				if opt.KIDContext != nil {
					gid = opt.KIDContext
				}
			}
		}
		return m, Peer{}, groupError(err, gid, kid)
	}
	return in, groupPeer(from, nil), nil
}

// Close ends the exchange when its token is freed.
func (o groupOpener) Close() { o.x.Close() }
