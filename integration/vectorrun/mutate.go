package vectorrun

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// span is a range of bytes of a datagram.
type span struct{ from, to int }

func (s span) has(i int) bool { return i >= s.from && i < s.to }

// quickHead is how many bytes a quick run does not thin out: header and options
// of an ordinary message, and the begin of its ciphertext.
const quickHead = 32

// mutated flips every bit of the message, one at a time.
func (r *run) mutated() error {
	names := r.receivers(r.m, r.request)
	if len(names) == 0 {
		return errors.New("nobody can receive the message")
	}
	name := names[0]
	must, err := r.protectedBytes()
	if err != nil {
		return err
	}
	at, err := r.receiver(name)
	if err != nil {
		return err
	}
	b := bytes.Clone(r.m.Protected)
	for i := range b {
		refuse := must(i)
		for bit := range 8 {
			if r.depth == Quick && (bit != i%8 || i >= quickHead && i%5 != 0) {
				continue
			}
			b[i] ^= 1 << bit
			// What is refused changes nothing, so one receiver sees all of it.
			to := at
			if !refuse {
				if to, err = r.elsewhere(name, b); err != nil {
					return err
				}
			}
			if to != nil {
				got, err := to.open(b)
				if err == nil && refuse {
					return fmt.Errorf("bit %d of byte %d flipped, and the message was accepted", bit, i)
				}
				if err == nil {
					if err := r.sameInner(got); err != nil {
						return fmt.Errorf("bit %d of byte %d flipped: %w", bit, i, err)
					}
				}
			}
			b[i] ^= 1 << bit
		}
	}
	// None of the refused messages left a trace.
	got, err := at.open(b)
	if err != nil {
		return fmt.Errorf("after the mutations the message itself is refused: %w", err)
	}
	return r.same(got)
}

// elsewhere makes a fresh receiver for a mutation that may be accepted, or nil
// if it is no message any more.
func (r *run) elsewhere(name string, b []byte) (*receiver, error) {
	m, err := coapmsg.ParseDatagram(b)
	if err != nil || coapmsg.IsRequest(m.Code) != r.m.Request {
		return nil, nil
	}
	if _, n := coapmsg.FindOSCORE(m.Options); n != 1 {
		return nil, nil
	}
	return r.receiver(name)
}

// sameInner compares only what is protected: code, class E options, payload.
func (r *run) sameInner(got message.Message) error {
	want, err := coapmsg.ParseDatagram(r.m.Unprotected)
	if err != nil {
		return err
	}
	_, plainGot, err := coapmsg.Split(got)
	if err != nil {
		return err
	}
	_, plainWant, err := coapmsg.Split(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(plainGot, plainWant) {
		return fmt.Errorf("the inner message changed to %x", plainGot)
	}
	return nil
}

// protectedBytes tells which bytes of the datagram no bit of may change: in
// Group OSCORE the OSCORE option's value and the payload; in RFC 8613 the
// payload, the Partial IV, and of a request kid and kid context.
func (r *run) protectedBytes() (func(int) bool, error) {
	b := r.m.Protected
	m, err := coapmsg.ParseDatagram(b)
	if err != nil {
		return nil, err
	}
	value, n := coapmsg.FindOSCORE(m.Options)
	if n != 1 {
		return nil, errors.New("no oscore option")
	}
	payload := span{len(b) - len(m.Payload), len(b)}
	opt := span{offset(b, m, value), 0}
	opt.to = opt.from + len(value)
	if r.params.Group {
		return func(i int) bool { return opt.has(i) || payload.has(i) }, nil
	}
	o, err := coapmsg.ParseOSCOREOption(value)
	if err != nil {
		return nil, err
	}
	piv := span{opt.from + 1, opt.from + 1 + len(o.PIV)}
	ids := span{}
	if r.m.Request {
		ids = span{opt.to - len(o.KID), opt.to}
		if o.KIDContext != nil {
			ids.from -= len(o.KIDContext)
		}
	}
	return func(i int) bool { return payload.has(i) || piv.has(i) || ids.has(i) }, nil
}

// offset finds where the value of the OSCORE option starts: behind the header
// and the options up to it.
func offset(b []byte, m message.Message, value []byte) int {
	for i := range m.Options {
		if m.Options[i].ID == coapmsg.OSCORE {
			return 4 + len(m.Token) + len(coapmsg.AppendOptions(nil, m.Options[:i+1], nil)) - len(value)
		}
	}
	return len(b)
}
