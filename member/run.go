package member

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// run is the goroutine of a group: it reserves sequence numbers, fetches
// credentials that are wanted, asks for the current version when it is time or
// when something hints at a missed rekeying, and comes back after a restart.
func (g *Group) run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 500*time.Millisecond, time.Minute
	timer := g.d.cfg.Clock.AfterFunc(g.untilCheck(), g.checkNow)
	defer func() { timer.Stop() }()
	g.wake()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.done:
			return
		case <-g.kick:
		}
		err := g.work(ctx)
		if ctx.Err() != nil || g.Err() != nil {
			return
		}
		timer.Stop()
		wait := g.untilCheck()
		if err != nil {
			g.d.cfg.Log.Warn("group needs another try", "group", g.name, "err", err)
			wait = retry.NextBackOff()
			timer = g.d.cfg.Clock.AfterFunc(wait, g.wake)
			continue
		}
		retry.Reset()
		timer = g.d.cfg.Clock.AfterFunc(wait, g.checkNow)
	}
}

// work does what there is to do. What fails stays to be done.
func (g *Group) work(ctx context.Context) error {
	if err := g.topUp(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	back, check, wanted := g.back, g.check, g.wanted
	g.wanted = nil
	g.mu.Unlock()
	switch {
	case back:
		if err := g.comeBack(ctx); err != nil {
			return err
		}
		g.mu.Lock()
		g.back, g.check = false, false
		g.mu.Unlock()
	case check:
		if err := g.Check(ctx); err != nil {
			return err
		}
		g.mu.Lock()
		g.check = false
		g.mu.Unlock()
	}
	if len(wanted) > 0 {
		return g.fetchWanted(ctx, wanted)
	}
	return nil
}

// untilCheck is the Key Update Check Interval, but not longer than until the
// keys expire.
func (g *Group) untilCheck() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := time.Duration(g.rec.Check) * time.Second
	if d <= 0 {
		d = groupcomm.DefaultCheckInterval
	}
	if left := time.Unix(g.rec.Epoch.Expires, 0).Sub(g.d.now()); left < d {
		d = max(left, time.Second)
	}
	return d
}

func (g *Group) checkNow() {
	g.mu.Lock()
	g.check = true
	g.mu.Unlock()
	g.wake()
}

// maxWanted bounds the members whose credentials wait to be fetched.
const maxWanted = 64

// credentialWanted is told by the endpoint whose message waits for a
// credential.
func (d *Device) credentialWanted(gid, id []byte) {
	for _, g := range d.Groups() {
		g.mu.Lock()
		cx := g.ctx
		if cx != nil && string(cx.Current().Gid()) == string(gid) && len(g.wanted) < maxWanted && len(id) <= maxSenderID {
			g.wanted = append(g.wanted, append([]byte{}, id...))
		}
		g.mu.Unlock()
		g.wake()
	}
}

// fetchWanted gets the credentials of members not known yet, and lets their
// messages go on. A Sender ID that is no member's costs one request.
func (g *Group) fetchWanted(ctx context.Context, ids [][]byte) error {
	g.mu.Lock()
	cx := g.ctx
	g.mu.Unlock()
	if cx == nil {
		return nil
	}
	// The ids are those to be added to an empty selection of roles.
	err := g.fetchPeers(ctx, groupcomm.CredsFilter{Select: true, Include: true, IDs: ids})
	if errors.Is(err, ErrStaleKey) {
		return nil // a check is on its way
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		g.d.ep.CredentialReady(cx.Current().Gid(), id)
	}
	return nil
}
