package endpoint

import (
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// end stops the observation, and tells the server if it does not know.
func (o *observation) end() {
	o.cancel()
	o.wg.Wait()
	if o.timer != nil {
		o.timer.Stop()
	}
	e := o.e
	for _, s := range o.byKey {
		for _, x := range s.attempts {
			if x != o.x {
				e.end(x)
			}
		}
	}
	if o.closing || !o.cancelAtServer() {
		e.end(o.x)
	}
}

// cancelAtServer deregisters (RFC 7641, Section 3.6; for a group
// draft-ietf-core-groupcomm-bis, Section 3.7): the request of the registration,
// with Observe 1 and the same token. It returns once that is sent; the answer is
// waited for in the background, so that the token stays known until then. What
// comes later is rejected, which ends it too.
func (o *observation) cancelAtServer() bool {
	e := o.e
	m := o.m
	m.Options = setOption(coapmsg.Without(m.Options, message.ETag), message.Option{ID: message.Observe, Value: []byte{1}})
	e.release(o.x)
	e.transmit.cancel(o.x.key)
	soon, stop := e.after(cancelWait)
	defer stop()
	sent := make(chan struct{})
	ok := e.spawn(func() {
		defer e.end(o.x)
		x, err := e.begin(e.ctx, &o.r, m, o.x, nil)
		close(sent)
		if err != nil {
			e.cfg.Log.Debug("observation not canceled at the server", "to", o.r.To, "error", err)
			return
		}
		defer e.end(x)
		o.awaitCancel(x)
	})
	if !ok {
		return false
	}
	select {
	case <-sent:
	case <-soon: // others have the turn to send to this server
	case <-e.ctx.Done():
	}
	return true
}

func (o *observation) awaitCancel(x *exchange) {
	e := o.e
	life := e.cfg.exchangeLifetime()
	if o.multi {
		life = e.cfg.Leisure + collectSlack
	}
	expired, stop := e.after(life)
	defer stop()
	for {
		select {
		case a := <-o.x.ch:
			resp, err := e.openArrival(x, a)
			if resp != nil && !o.multi {
				if _, still := observeValue(resp); !still {
					return
				}
			}
			if err != nil {
				return
			}
		case <-x.failed:
			return
		case <-expired:
			return
		case <-e.ctx.Done():
			return
		}
	}
}
