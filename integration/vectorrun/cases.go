package vectorrun

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/integration/vectorfile"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// RunCase runs one accept/reject case.
func RunCase(c *vectorfile.Case) Result {
	if why := unsupportedCase(c); why != "" {
		return Result{Skipped, c.Name, why}
	}
	accepted, cause, err := runCase(c)
	switch {
	case err != nil:
		return Result{Failed, c.Name, err.Error()}
	case c.Accept && !accepted:
		return Result{Failed, c.Name, fmt.Sprintf("refused (%v), but is to be accepted: %s", cause, c.Reason)}
	case !c.Accept && accepted:
		return Result{Failed, c.Name, "accepted, but is to be refused: " + c.Reason}
	}
	return Result{Passed, c.Name, ""}
}

// runCase reports whether the receiver accepted the message, and why not. err
// is set if the case could not be brought about.
func runCase(c *vectorfile.Case) (accepted bool, cause, err error) {
	w, err := newWorld(c.Params)
	if err != nil {
		return false, nil, err
	}
	at, err := w.caseReceiver(c)
	if err != nil {
		return false, nil, err
	}
	for i, b := range c.ReceivedBefore {
		if _, err := at.open(b); err != nil {
			return false, nil, fmt.Errorf("message %d received before: %w", i, err)
		}
	}
	_, cause = at.open(c.Message)
	return cause == nil, cause, nil
}

// caseReceiver is the receiver of a case; for a response it has made the
// request, found again from the protected one.
func (w *world) caseReceiver(c *vectorfile.Case) (*receiver, error) {
	if !c.Response {
		e, err := w.endpoint(c.Receiver, 0)
		return &receiver{endpoint: e}, err
	}
	req, err := coapmsg.ParseDatagram(c.Request)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	value, n := coapmsg.FindOSCORE(req.Options)
	opt, err := coapmsg.ParseOSCOREOption(value)
	if n != 1 || err != nil || opt.PIV == nil {
		return nil, errors.New("request has no usable oscore option")
	}
	seq, err := coapmsg.DecodePIV(opt.PIV)
	if err != nil {
		return nil, err
	}
	for _, target := range w.params.Members {
		if target.Name == c.Receiver {
			continue
		}
		server, err := w.endpoint(target.Name, 0)
		if err != nil {
			return nil, err
		}
		plain, _, err := server.unprotectRequest(req)
		if err != nil {
			continue // a pairwise request for somebody else
		}
		client, err := w.endpoint(c.Receiver, seq)
		if err != nil {
			return nil, err
		}
		_, x, err := client.protectRequest(plain, c.RequestMode, target.Name, opt)
		return &receiver{client, x}, err
	}
	return nil, errors.New("nobody can open the request")
}
