package vectorrun

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/integration/vectorfile"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// option is the OSCORE option of a message.
type option = coapmsg.OSCOREOption

// Depth says how much is mutated.
type Depth int

const (
	Thorough Depth = iota // every bit of every message
	Quick                 // one bit of each of the first bytes, and of every fifth
)

// RunExchange runs every message of a vector in every direction.
func RunExchange(x *vectorfile.Exchange, depth Depth) []Result {
	if why := unsupported(&x.Params); why != "" {
		return []Result{{Skipped, x.Name, why}}
	}
	out := runExchange(x, depth)
	if x.Conformant {
		return out
	}
	ok := 0
	for _, r := range out {
		if r.Outcome == Passed {
			ok++
		}
	}
	why := "says of itself that it does not conform"
	if len(x.Deviations) > 0 {
		why += ": " + x.Deviations[0]
	}
	return []Result{{Reported, x.Name, fmt.Sprintf("%s (%d of %d checks agree)", why, ok, len(out))}}
}

func runExchange(x *vectorfile.Exchange, depth Depth) []Result {
	w, err := newWorld(&x.Params)
	if err != nil {
		return []Result{{Failed, x.Name, err.Error()}}
	}
	var out []Result
	var request *vectorfile.Message
	for i := range x.Messages {
		m := &x.Messages[i]
		if m.Request {
			request = m
		}
		name := fmt.Sprintf("%s message %d (%s %s)", x.Name, i, kind(m), m.Mode)
		if request.Mode == "det" {
			out = append(out, Result{Skipped, name, "deterministic requests are not built yet"})
			continue
		}
		r := &run{world: w, m: m, request: request, depth: depth}
		for _, c := range []struct {
			name string
			f    func() error
		}{{"forward", r.forward}, {"backward", r.backward}, {"mutated", r.mutated}} {
			res := Result{Passed, name + " " + c.name, ""}
			if err := c.f(); err != nil {
				res.Outcome, res.Detail = Failed, err.Error()
			}
			out = append(out, res)
		}
	}
	return out
}

func kind(m *vectorfile.Message) string {
	if m.Request {
		return "request"
	}
	return "response"
}

// run is one message of a vector with the request it belongs to.
type run struct {
	*world
	m, request *vectorfile.Message
	depth      Depth
}

// sequence is the Sender Sequence Number to start with.
func sequence(m *vectorfile.Message) uint64 {
	if m.Seq == nil {
		return 0
	}
	return *m.Seq
}

// protect makes the message anew, by an endpoint in the state of its sender.
func (r *run) protect() (message.Message, error) {
	plain, err := coapmsg.ParseDatagram(r.m.Unprotected)
	if err != nil {
		return message.Message{}, fmt.Errorf("unprotected message: %w", err)
	}
	from, err := r.endpoint(r.m.From, sequence(r.m))
	if err != nil {
		return message.Message{}, err
	}
	opt, err := optionOf(r.m)
	if err != nil {
		return message.Message{}, err
	}
	if r.m.Request {
		out, _, err := from.protectRequest(plain, r.m.Mode, r.m.To, opt)
		return out, err
	}
	req, err := coapmsg.ParseDatagram(r.request.Protected)
	if err != nil {
		return message.Message{}, fmt.Errorf("protected request: %w", err)
	}
	_, x, err := from.unprotectRequest(req)
	if err != nil {
		return message.Message{}, fmt.Errorf("the request before: %w", err)
	}
	return from.protectResponse(plain, x, r.m, opt)
}

// optionOf reads the OSCORE option of a recorded message.
func optionOf(v *vectorfile.Message) (option, error) {
	m, err := coapmsg.ParseDatagram(v.Protected)
	if err != nil {
		return option{}, fmt.Errorf("protected message: %w", err)
	}
	value, n := coapmsg.FindOSCORE(m.Options)
	if n != 1 {
		return option{}, errors.New("protected message has not one oscore option")
	}
	return coapmsg.ParseOSCOREOption(value)
}

// forward protects the message and compares the bytes.
func (r *run) forward() error {
	out, err := r.protect()
	if err != nil {
		return err
	}
	got, err := coapmsg.AppendDatagram(nil, out)
	if err != nil {
		return err
	}
	want := bytes.Clone(r.m.Protected)
	if r.m.OuterCodeDeviates && len(got) > 1 {
		want[1] = got[1]
	}
	if n := r.randomBytes(); n > 0 && len(got) > n && len(got) == len(want) {
		// An ECDSA countersignature is different each time: let it verify.
		if err := r.open(got); err != nil {
			return fmt.Errorf("own message: %w", err)
		}
		got, want = got[:len(got)-n], want[:len(want)-n]
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("protecting gives\n  %x, not\n  %x", got, want)
	}
	return nil
}

// randomBytes is how many bytes at the end of the payload cannot be reproduced.
func (r *run) randomBytes() int {
	if r.m.Mode != "group" {
		return 0
	}
	pub := r.cred[r.m.From].PublicKey()
	if pub.Curve() == cose.CurveEd25519 || pub.Curve() == cose.CurveEd448 {
		return 0
	}
	n, err := pub.SignatureSize(cose.Algorithm(r.params.Signature))
	if err != nil {
		return 0
	}
	return n
}

// backward opens the recorded message at every receiver.
func (r *run) backward() error { return r.open(r.m.Protected) }

// open lets every receiver open b and compares what it gets with the
// unprotected message.
func (r *run) open(b []byte) error {
	names := r.receivers(r.m, r.request)
	if len(names) == 0 {
		return errors.New("nobody can receive the message")
	}
	for _, name := range names {
		at, err := r.receiver(name)
		if err != nil {
			return err
		}
		got, err := at.open(b)
		if err != nil {
			return fmt.Errorf("at %s: %w", name, err)
		}
		if err := r.same(got); err != nil {
			return fmt.Errorf("at %s: %w", name, err)
		}
	}
	return nil
}

// receiver is an endpoint in the state of one that is about to receive.
type receiver struct {
	endpoint
	x exchange // of a client
}

func (r *run) receiver(name string) (*receiver, error) {
	if r.m.Request {
		e, err := r.endpoint(name, 0)
		return &receiver{endpoint: e}, err
	}
	e, err := r.endpoint(name, sequence(r.request))
	if err != nil {
		return nil, err
	}
	plain, err := coapmsg.ParseDatagram(r.request.Unprotected)
	if err != nil {
		return nil, fmt.Errorf("unprotected request: %w", err)
	}
	opt, err := optionOf(r.request)
	if err != nil {
		return nil, err
	}
	_, x, err := e.protectRequest(plain, r.request.Mode, r.request.To, opt)
	if err != nil {
		return nil, fmt.Errorf("the request before: %w", err)
	}
	return &receiver{e, x}, nil
}

// open parses and unprotects a datagram.
func (r *receiver) open(b []byte) (message.Message, error) {
	m, err := coapmsg.ParseDatagram(b)
	if err != nil {
		return m, err
	}
	if r.x == nil {
		in, _, err := r.unprotectRequest(m)
		return in, err
	}
	return r.unprotectResponse(m, r.x)
}

// same compares an opened message with the unprotected one: header, what was
// encrypted, and the options that were not.
func (r *run) same(got message.Message) error {
	want, err := coapmsg.ParseDatagram(r.m.Unprotected)
	if err != nil {
		return err
	}
	if got.Type != want.Type || got.MessageID != want.MessageID || !bytes.Equal(got.Token, want.Token) {
		return errors.New("header changed")
	}
	outerGot, plainGot, err := coapmsg.Split(got)
	if err != nil {
		return err
	}
	outerWant, plainWant, err := coapmsg.Split(want)
	if err != nil {
		return err
	}
	if r.m.Plaintext != nil && !bytes.Equal(plainGot, r.m.Plaintext) || !bytes.Equal(plainGot, plainWant) {
		return fmt.Errorf("plaintext is\n  %x, not\n  %x", plainGot, plainWant)
	}
	a := coapmsg.AppendOptions(nil, coapmsg.Without(outerGot, message.Observe), nil)
	b := coapmsg.AppendOptions(nil, coapmsg.Without(outerWant, message.Observe), nil)
	if !bytes.Equal(a, b) {
		return fmt.Errorf("outer options are\n  %x, not\n  %x", a, b)
	}
	return nil
}
