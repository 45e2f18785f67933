package endpoint

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// signal makes a message of a TCP connection from fields that can always be
// encoded.
func signal(code codes.Code, token message.Token, opts message.Options, payload []byte) []byte {
	b, err := coapmsg.AppendFrame(nil, message.Message{Code: code, Token: token, Options: opts, Payload: payload})
	if err != nil {
		panic(fmt.Sprintf("endpoint: message of a connection: %v", err)) // cannot be: see the callers
	}
	return b
}

// unavailable answers a request that finds no place.
func unavailable(token message.Token) []byte {
	return signal(codes.ServiceUnavailable, token, nil, nil)
}

// csm is the first message: what this endpoint can do (RFC 8323, Section 5.3).
// Beside a Max-Message-Size above 1152 the option for block-wise transfers
// promises that several blocks in one message (BERT, Section 6) are understood.
func (st *stream) csm() []byte {
	return signal(coapmsg.CSM, nil, message.Options{
		{ID: coapmsg.CSMMaxMessageSize, Value: coapmsg.EncodeUint(uint32(st.e.cfg.TCP.MaxMessageSize))},
		{ID: coapmsg.CSMBlockWiseTransfer},
		{ID: coapmsg.CSMExtendedTokenLength, Value: coapmsg.EncodeUint(uint32(st.e.cfg.MaxToken))},
	}, nil)
}

// abort tells the peer why its connection ends, and ends it. Option, if not 0, is
// the one of its CSM that is to blame.
func (st *stream) abort(why string, option *message.OptionID) {
	var opts message.Options
	if option != nil {
		opts = message.Options{{ID: coapmsg.AbortBadCSMOption, Value: coapmsg.EncodeUint(uint32(*option))}}
	}
	st.e.drop(DropAborted)
	st.finish(signal(coapmsg.Abort, nil, opts, []byte(why)), fmt.Errorf("connection aborted: %s", why))
}

// signalled takes a signalling message; false ends the connection. A critical
// option that is not understood aborts it (RFC 8323, Section 5.2), and so does
// a CSM option with an impossible value (Section 5.6).
func (r *streamReader) signalled(b []byte) bool {
	m, err := coapmsg.ParseFrame(b)
	if err != nil {
		r.abort("malformed message", nil)
		return false
	}
	if m.Code == coapmsg.CSM {
		return r.settings(m)
	}
	for _, o := range m.Options {
		if o.ID&1 != 0 {
			r.abort(fmt.Sprintf("option %d of %s is not understood", o.ID, coapmsg.CodeString(m.Code)), nil)
			return false
		}
	}
	switch m.Code {
	case coapmsg.Ping:
		return r.send(signal(coapmsg.Pong, m.Token, nil, nil)) == nil
	case coapmsg.Pong: // the sign of life that came with it counts
	case coapmsg.Release:
		r.e.conns.release(r.s)
		r.e.endReleased(r.s)
	case coapmsg.Abort:
		r.end(fmt.Errorf("%w: %q", errAborted, m.Payload[:min(len(m.Payload), maxDiagnostic)]))
		return false
	default:
		r.e.drop(DropSignalling)
	}
	return true
}

// settings takes a CSM: one at the beginning, and perhaps more later.
func (r *streamReader) settings(m message.Message) bool {
	for _, o := range m.Options {
		n, err := coapmsg.DecodeUint(o.Value)
		bad := false
		switch o.ID {
		case coapmsg.CSMMaxMessageSize:
			if bad = err != nil || n < leastMessageSize; !bad {
				r.peerMax.Store(n)
			}
		case coapmsg.CSMBlockWiseTransfer:
			if bad = len(o.Value) > 0; !bad {
				r.peerBlocks.Store(true)
			}
		case coapmsg.CSMExtendedTokenLength:
			if bad = err != nil || len(o.Value) > 3; !bad && n >= message.MaxTokenSize {
				r.peerToken.Store(min(n, coapmsg.MaxExtendedToken))
			}
		default:
			bad = o.ID&1 != 0
		}
		if bad {
			r.abort(fmt.Sprintf("CSM option %d", o.ID), &o.ID)
			return false
		}
	}
	return true
}
