package member

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// Rekeying is how a device hears of new keys. However it does, it also asks as
// often as the group's policy says, and when something hints at a missed one.
type Rekeying uint8

// The ways to hear of new keys.
const (
	// RekeyByControlURI: the Group Manager posts them to the device's control
	// resource, and again until the device has them
	// (ace-key-groupcomm-oscore, Section 11.1).
	RekeyByControlURI Rekeying = iota
	// RekeyByObservation: the device observes the group at the Group Manager
	// (RFC 9594, Section 6.1). It is for devices that a request of the Group
	// Manager does not reach, behind a NAT or a firewall.
	RekeyByObservation
	// RekeyByBoth: what comes first counts.
	RekeyByBoth
)

var rekeyingNames = [...]string{RekeyByControlURI: "control-uri", RekeyByObservation: "observe", RekeyByBoth: "both"}

// String names the way.
func (r Rekeying) String() string {
	if int(r) < len(rekeyingNames) {
		return rekeyingNames[r]
	}
	return "unknown"
}

// ParseRekeying reads what String writes.
func ParseRekeying(s string) (Rekeying, error) {
	for i, n := range rekeyingNames {
		if n == s {
			return Rekeying(i), nil
		}
	}
	return 0, fmt.Errorf("%w: rekeying is control-uri, observe or both, not %q", ErrConfig, s)
}

func (r Rekeying) posts() bool    { return r != RekeyByObservation }
func (r Rekeying) observes() bool { return r != RekeyByControlURI }

// follow observes the group's keying material until the membership ends. An
// observation that ended, also with the association it was made under, is made
// anew.
func (g *Group) follow(ctx context.Context) {
	pause := backoff{first: retryFirst, most: retryMost}
	for {
		err := g.observe(ctx, pause.reset)
		if ctx.Err() != nil || g.Err() != nil {
			return
		}
		g.d.cfg.Log.Info("the group is not observed", "group", g.name, "err", err)
		g.recheck() // what came meanwhile was not told
		again := make(chan struct{})
		t := g.d.cfg.Clock.AfterFunc(pause.next(g.d), func() { close(again) })
		select {
		case <-again:
		case <-ctx.Done():
		case <-g.done:
		}
		t.Stop()
	}
}

// observe makes one observation and takes what it yields, until it ends. heard is
// called when the Group Manager has answered.
func (g *Group) observe(ctx context.Context, heard func()) error {
	a, _, err := g.d.associated(ctx, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	defer func() { <-over }()
	defer cancel()
	go func() {
		defer close(over)
		select {
		case <-a.over:
		case <-g.done:
		case <-ctx.Done():
		}
		cancel()
	}()
	joined := g.record().Nonce
	q := gmRequest{op: "observation of the group", code: codes.GET, path: "ace-group/" + g.name}
	var last error
	for r, err := range g.d.ep.Observe(ctx, endpoint.Request{To: g.d.gm, Code: q.code, Path: q.path, Security: endpoint.WithOSCORE(a.ctx)}) {
		if err != nil {
			last = err
			if lostAssociation(err) {
				g.d.forget(a)
			}
			g.recheck() // the registration may be lost
			continue
		}
		if r.Code == codes.Unauthorized {
			g.d.forget(a)
		}
		if err := q.refused(r); err != nil {
			last = g.unobserved(ctx, err, joined)
			continue
		}
		g.d.proven(a)
		heard()
		if err := g.offered(ctx, r); err != nil {
			g.d.cfg.Log.Warn("keying material of a notification is not taken", "group", g.name, "err", err)
			g.recheck()
		}
	}
	return last
}

// unobserved ends the membership if a refusal says that there is none any more.
// joined is the nonce of the Join Request that the observed membership began
// with. A device that was off may be joining again, or have done so: then a
// check finds out what holds by now.
func (g *Group) unobserved(ctx context.Context, refusal error, joined []byte) error {
	g.mu.Lock()
	another := g.todo.resumed || !bytes.Equal(g.rec.Nonce, joined)
	g.mu.Unlock()
	if another && over(refusal) {
		g.recheck()
		return refusal
	}
	return g.gone(ctx, refusal)
}

// offered takes the keying material of a notification, or of the answer to the
// registration.
func (g *Group) offered(ctx context.Context, r *endpoint.Response) error {
	k, err := groupcomm.ParseKeyResponse(r.Payload)
	if err != nil {
		return err
	}
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := g.Err(); err != nil {
		return err
	}
	rec := g.record()
	switch {
	case !rec.Stale && k.Version == rec.Epoch.Version:
		return nil
	case !rec.Stale && k.Version < rec.Epoch.Version:
		return fmt.Errorf("%w: version %d after version %d", ErrManager, k.Version, rec.Epoch.Version)
	case !rec.Stale && k.Version == rec.Epoch.Version+1 && k.StaleIDs != nil:
		err = g.take(ctx, &groupcomm.RekeyMessage{
			MasterSecret: k.Key.MasterSecret, MasterSalt: k.Key.MasterSalt, Gid: k.Key.Gid, Version: k.Version,
			Expiry: k.Expiry, StaleIDs: k.StaleIDs, KDCCredential: k.KDCCredential, Config: &k.Key,
		}, nil)
	default:
		err = g.recover(ctx)
	}
	if err != nil {
		return g.gone(ctx, err)
	}
	if !g.d.cfg.Rekeying.posts() {
		g.mu.Lock()
		g.todo.showAt = g.d.now().Add(g.d.spread(hintSpread, hintSpread))
		g.mu.Unlock()
	}
	return g.isBack()
}

// show lets the Group Manager know that the material of a notification arrived,
// which a notification does not: the device asks for its own material and then
// for something else.
func (g *Group) show(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	g.mu.Lock()
	g.todo.showAt = time.Time{}
	g.mu.Unlock()
	if err := g.Err(); err != nil {
		return err
	}
	return g.gone(ctx, g.compare(ctx))
}

// compare gets the current keying material and checks that the device has it. If
// it has, it goes on with its Security Context and its sequence numbers
// (ace-key-groupcomm-oscore, Section 9.1). The caller has the turn to change the
// group.
func (g *Group) compare(ctx context.Context) error {
	k, err := g.fetchMaterial(ctx)
	if err != nil {
		return err
	}
	rec := g.record()
	switch {
	case rec.Stale || k.Version != rec.Epoch.Version:
	case !contains(rec.Spent, markOf(k.Key)):
		return fmt.Errorf("%w: other keys under version %d", ErrManager, k.Version)
	case !bytes.Equal(k.Key.SenderID, rec.Epoch.SenderID):
		// An answer that gave it was lost.
		if err := g.useSenderID(ctx, k.Key.SenderID, func(*groupRecord) {}); err != nil {
			return err
		}
	}
	return g.catchUp(ctx)
}
