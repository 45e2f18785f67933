package oscore

import (
	"fmt"
	"sync"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Exchange binds the responses to their request (RFC 8613, Section 8): it
// holds what of the request goes into the AAD and nonce of each response, and
// what has been answered so far. ProtectRequest and UnprotectRequest make it;
// the caller keeps it beside the token until the last response, that is, as
// long as an observation lives. It is safe for concurrent use.
type Exchange struct {
	ctx     *Context
	client  bool
	observe bool // the request registers an observation
	noReuse bool // accepted under an invalid window: its nonce must not protect a response
	pivSize uint8
	piv     [coapmsg.MaxPIVSize]byte

	mu       sync.Mutex
	answered bool   // a response was protected or accepted
	ended    bool   // client: nothing more is accepted
	notified bool   // client: highest is set
	highest  uint64 // client: the Notification Number
}

func (x *Exchange) requestPIV() []byte { return x.piv[:x.pivSize] }

// requestKID is the Sender ID of the client.
func (x *Exchange) requestKID() []byte {
	if x.client {
		return x.ctx.senderID
	}
	return x.ctx.recipientID
}

func (x *Exchange) setPIV(piv []byte) { x.pivSize = uint8(copy(x.piv[:], piv)) }

// Context is the context of the exchange.
func (x *Exchange) Context() *Context { return x.ctx }

// RequestSequence is the sequence number of the request.
func (x *Exchange) RequestSequence() uint64 {
	var seq uint64
	for _, c := range x.requestPIV() {
		seq = seq<<8 | uint64(c)
	}
	return seq
}

// Observe reports whether the request registers an observation, by its Inner
// Observe option (RFC 8613, Section 4.1.3.5).
func (x *Exchange) Observe() bool { return x.observe }

// NotificationNumber is the largest Partial IV of the responses accepted so
// far by a client (RFC 8613, Section 7.4.1); ok is false if none had one.
func (x *Exchange) NotificationNumber() (n uint64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.highest, x.notified
}

// String names the exchange.
func (x *Exchange) String() string {
	return fmt.Sprintf("oscore exchange (kid %x, partial iv %x)", x.requestKID(), x.requestPIV())
}

// Format prints the exchange as String does, whatever the verb.
func (x *Exchange) Format(f fmt.State, _ rune) { fmt.Fprint(f, x.String()) }
