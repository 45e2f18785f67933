package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// tokenSize is the least length of the tokens of requests: random and long, so that
// a response cannot be forged by who did not see the request (RFC 7252,
// Section 5.3.1), and in practice never used twice, which also satisfies
// draft-ietf-core-groupcomm-bis, Section 3.1.5.
const tokenSize = 8

// exchange is a request of this endpoint that may get responses.
type exchange struct {
	key8   [tokenSize]byte // the token's first bytes
	token  message.Token
	to     remote
	sock   *socket // that the request leaves by
	multi  bool
	opener ResponseOpener  // nil for a plain request
	wire   message.Message // as it was sent, protected
	reuse  bool            // token and ch belong to another exchange
	ch     chan arrival
	failed chan error // at most one: reset, never acknowledged, or errACK
	silent bool       // no response is wanted
	key    transmissionKey
	serial uint64 // grows with each request
	hooks  *hooks
	timer  clock.Timer // that ends with the exchange

	free sync.Once // of the NSTART slot

	// Of a group request that is no observation: how many responses came from an
	// address, guarded by the token table.
	sources map[netip.Addr]int
}

// hooks are told of an exchange by other goroutines.
type hooks struct {
	// fail gets what would go to the channel failed.
	fail func(*exchange, error)
	// sending, if not nil, is called right before the message is sent, so that
	// no response can come before it returns.
	sending func(*exchange)
}

// arrival is a datagram that carries a response to an exchange.
type arrival struct {
	data []byte
	from netip.AddrPort
	at   time.Time
	sock *socket
}

// receiveResponse takes a datagram with a response code. Decryption is left to
// the goroutine that waits for the response.
func (e *Endpoint) receiveResponse(d datagram, h header) {
	if d.sock.group || h.typ == message.Reset {
		e.drop(DropUnexpected)
		return
	}
	key := e.dedup.key(&d)
	now := e.cfg.Clock.Now()
	if e.recent.has(key, now) {
		e.drop(DropDuplicate)
		if h.typ == message.Confirmable {
			e.sendEmpty(d, message.Acknowledgement, h.mid)
		}
		return
	}
	if h.typ == message.Acknowledgement && !e.transmit.settle(&d, h.mid, false) {
		e.drop(DropUnexpected)
		return
	}
	x := e.tokens.find(h.token, d.remote())
	if x == nil {
		e.drop(DropUnexpected)
		if h.typ == message.Confirmable || h.typ == message.NonConfirmable && isNotification(d.data) {
			e.sendEmpty(d, message.Reset, h.mid)
		}
		return
	}
	if !e.tokens.admit(x, d.from.Addr()) {
		e.drop(DropResponseQueue)
		return
	}
	select {
	case x.ch <- arrival{bytes.Clone(d.data), d.from, now, d.sock}:
	default:
		e.drop(DropResponseQueue)
		return
	}
	e.recent.add(key, now.Add(e.cfg.exchangeLifetime()))
	if h.typ == message.Confirmable {
		e.sendEmpty(d, message.Acknowledgement, h.mid)
	}
}

// isNotification says whether a response has an Observe option. One that nobody
// waits for is rejected, whatever its type, so that no more come (RFC 7641,
// Section 3.6).
func isNotification(data []byte) bool {
	m, err := coapmsg.ParseDatagram(data)
	return err == nil && coapmsg.Has(m.Options, message.Observe)
}

// begin protects and sends the message m of a request. The caller ends the
// exchange. If token is not nil, the request is sent with the token of that
// exchange, which takes the responses too. The hooks may be nil.
func (e *Endpoint) begin(ctx context.Context, r *Request, m message.Message, token *exchange, h *hooks) (*exchange, error) {
	if e.ctx.Err() != nil {
		return nil, ErrClosed
	}
	multi := r.To.Addr().IsMulticast()
	x := &exchange{to: remote{addr: r.To}, multi: multi, silent: suppresses(m.Options, 2|8|16), failed: make(chan error, 1), serial: e.serial.Add(1), hooks: h}
	switch {
	case token != nil:
		x.ch, x.token, x.reuse = token.ch, token.token, true
	case multi:
		x.ch = make(chan arrival, e.cfg.ResponseQueue)
		if !coapmsg.Has(m.Options, message.Observe) {
			x.sources = make(map[netip.Addr]int)
		}
	case coapmsg.Has(m.Options, message.Observe):
		x.ch = make(chan arrival, observeQueue)
	default:
		x.ch = make(chan arrival, unicastQueue)
	}
	if err := e.route(ctx, r, x, token); err != nil {
		return nil, err
	}
	place, err := e.number(ctx, r, x)
	if err != nil {
		return nil, err
	}
	if err := e.probe(r, m); err != nil {
		e.nstart.leave(x.to)
		return nil, err
	}
	if token == nil {
		if err := e.tokens.add(x, e.tokenLength(x), e.cfg.Rand); err != nil {
			e.nstart.leave(x.to)
			return nil, err
		}
	}
	place.order.Lock()
	err = e.transmitRequest(r, x, m)
	place.order.Unlock()
	if err != nil {
		e.end(x)
		return nil, err
	}
	return x, nil
}

func (e *Endpoint) transmitRequest(r *Request, x *exchange, m message.Message) error {
	var err error
	if sec := r.Security; sec != nil {
		if u, ok := sec.(unicaster); ok && !x.multi {
			sec = u.unicast(nil)
		}
		if m, x.opener, err = sec.ProtectRequest(m); err != nil {
			return fmt.Errorf("protect request: %w", err)
		}
	}
	if x.sock.stream() {
		x.sending()
		return e.sendStreamRequest(x, m)
	}
	m.Token, m.MessageID, m.Type = x.token, int32(x.key.mid), message.NonConfirmable
	if confirmable := r.confirmable(); confirmable {
		m.Type = message.Confirmable
	}
	x.wire = m
	data, err := coapmsg.AppendDatagram(nil, m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if x.multi {
		ifIndex := 0
		if r.Interface != "" {
			if ifIndex, err = e.cfg.Network.InterfaceIndex(r.Interface); err != nil {
				return fmt.Errorf("%w: %w", ErrRequest, err)
			}
		}
		if err := x.sock.WriteTo(data, r.To, netip.Addr{}, ifIndex, r.HopLimit); err != nil {
			return fmt.Errorf("send to group %s: %w", r.To, err)
		}
		return nil
	}
	x.sending()
	e.transmit.start(&transmission{key: x.key, data: data, sock: x.sock, bounded: true, done: func(o outcome) { e.settled(x, o) }}, m.Type == message.Confirmable)
	return nil
}

func (x *exchange) sending() {
	if x.hooks != nil && x.hooks.sending != nil {
		x.hooks.sending(x)
	}
}

// errACK ends a request whose sender wants no response.
var errACK = errors.New("acknowledged")

// settled takes the end of the transmission of a request.
func (e *Endpoint) settled(x *exchange, o outcome) {
	e.release(x)
	switch o {
	case rejected:
		x.fail(ErrReset)
	case exhausted:
		x.fail(ErrTimeout)
	case acknowledged:
		if x.silent {
			x.fail(errACK)
		}
	}
}

// fail ends the wait for a response, unless it has been ended already.
func (x *exchange) fail(err error) {
	if x.hooks != nil {
		x.hooks.fail(x, err)
		return
	}
	select {
	case x.failed <- err:
	default:
	}
}

// release frees the place of x among the outstanding requests: after an
// acknowledgement or a response (RFC 7252, Section 4.7).
func (e *Endpoint) release(x *exchange) { x.free.Do(func() { e.nstart.leave(x.to) }) }

// end forgets an exchange. Responses to it are unexpected from now on.
func (e *Endpoint) end(x *exchange) {
	if !x.multi && !x.sock.stream() {
		e.transmit.cancel(x.key)
	}
	if !x.reuse {
		e.tokens.remove(x)
	}
	e.endReleased(x.sock)
	if x.timer != nil {
		x.timer.Stop()
	}
	e.release(x)
	if c, ok := x.opener.(interface{ Close() }); ok {
		c.Close()
	}
}

// parseArrival parses what arrived.
func (e *Endpoint) parseArrival(a arrival) (m message.Message, ok bool) {
	m, err := a.message()
	if err != nil {
		e.drop(DropMalformed)
		return m, false
	}
	if unsupported(m.Options) {
		e.drop(DropCriticalOption)
		return m, false
	}
	return m, true
}

// openArrival parses and verifies what arrived for x. A nil response without
// error is to be ignored. An error is ErrAgain or an *UnprotectedError.
func (e *Endpoint) openArrival(x *exchange, a arrival) (*Response, error) {
	m, ok := e.parseArrival(a)
	if !ok {
		return nil, nil
	}
	return e.openMessage(x, m, a)
}

// openMessage is openArrival for a message that is parsed.
func (e *Endpoint) openMessage(x *exchange, m message.Message, a arrival) (*Response, error) {
	var err error
	peer := Peer{Mode: Plain}
	_, n := coapmsg.FindOSCORE(m.Options)
	switch {
	case x.opener == (unchanged{}):
	case x.opener == nil && n > 0:
		e.drop(DropNoContext)
		return nil, nil
	case x.opener != nil && n == 0:
		return nil, e.unprotectedResponse(x, m, a)
	case x.opener != nil:
		var hint *UnprotectedError
		if m, peer, err = x.opener.OpenResponse(m, a.at); errors.Is(err, ErrAgain) {
			return nil, err
		} else if errors.As(err, &hint) && !x.multi {
			hint.From = a.from
			return nil, err
		} else if err != nil {
			e.unopenedResponse(x, a, err)
			return nil, nil
		}
		if unsupported(m.Options) {
			e.drop(DropCriticalOption)
			return nil, nil
		}
	}
	peer.Addr = a.from
	if a.sock != nil {
		a.sock.fill(&peer)
	}
	e.prober.answered(x.to.addr)
	return response(m, peer, a), nil
}

func response(m message.Message, p Peer, a arrival) *Response {
	return &Response{
		Code: m.Code, Options: coapmsg.IgnoreElective(m.Options), Payload: m.Payload,
		Peer: p, Received: a.at, Bytes: len(a.data),
	}
}

// unopenedResponse decides what becomes of a response that did not verify: it
// waits for a credential, or it is nothing. The exchange goes on either way
// (RFC 8613, Section 8.4).
func (e *Endpoint) unopenedResponse(x *exchange, a arrival, err error) {
	e.cfg.Log.Debug("response not opened", "from", a.from, "error", err)
	var missing *MissingCredential
	switch {
	case !errors.As(err, &missing):
		e.drop(DropUnverified)
	case !e.parked.response(x, a, missing):
		e.drop(DropNoCredential)
	}
}

// unprotectedResponse takes a response in clear to a protected request. From a
// unicast peer an error is reported as what it is; anything else is nothing.
func (e *Endpoint) unprotectedResponse(x *exchange, m message.Message, a arrival) error {
	if x.multi || coapmsg.IsSuccess(m.Code) {
		e.drop(DropUnverified)
		return nil
	}
	return &UnprotectedError{From: a.from, Code: m.Code, Diagnostic: diagnostic(m)}
}

func diagnostic(m message.Message) string {
	if coapmsg.Has(m.Options, message.ContentFormat) || m.Code < codes.BadRequest {
		return ""
	}
	return string(m.Payload[:min(len(m.Payload), maxDiagnostic)])
}
