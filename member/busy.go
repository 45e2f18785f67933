package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// busyError: a server has no time for a request now (RFC 8516; RFC 7252,
// Section 5.9.3.4). It is no refusal: many devices may have come at once.
type busyError struct {
	code  codes.Code
	after time.Duration // when to ask again
}

// Error says how long it lasts.
func (b *busyError) Error() string {
	return fmt.Sprintf("token upload: %v: %s: busy for %v", ErrRefused, coapmsg.CodeString(b.code), b.after.Round(time.Second))
}

// Unwrap returns ErrRefused.
func (b *busyError) Unwrap() error { return ErrRefused }

// maxAge is the Max-Age of a response, its default without one.
func maxAge(opts message.Options) time.Duration {
	const byDefault = time.Minute // RFC 7252, Section 5.10.5
	v, ok := coapmsg.Get(opts, message.MaxAge)
	if !ok {
		return byDefault
	}
	n, err := coapmsg.DecodeUint(v)
	if err != nil {
		return byDefault
	}
	return time.Duration(n) * time.Second
}

var errNoTime = errors.New("no time left")

// wait waits, unless the time that ctx leaves does not suffice.
func (d *Device) wait(ctx context.Context, t time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= t {
		return errNoTime
	}
	over := make(chan struct{})
	timer := d.cfg.Clock.AfterFunc(t, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
