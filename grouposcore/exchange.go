package grouposcore

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/replay"
)

// Exchange binds responses to a request. The client gets one from
// ProtectRequest, the server one from UnprotectRequest. It keeps the request's
// kid, Partial IV and kid context unchanged over rekeys and new Sender IDs
// (Sections 7.1 and 7.2). It is safe for concurrent use.
type Exchange struct {
	req    binding
	mode   Mode
	origin *common // Security Context of the request
	group  *Group  // set if the request went through a Group

	mu     sync.Mutex
	closed bool
	client *clientSide
	server *serverSide
}

// outgoing is a client's exchange with its parts and the outer options of the
// request, in one piece of memory.
type outgoing struct {
	Exchange
	side clientSide
	to   peer
	piv  [coapmsg.MaxPIVSize]byte
	opts [4]message.Option
}

// incoming likewise is a server's, with the options of an ordinary request.
type incoming struct {
	Exchange
	side serverSide
	piv  [coapmsg.MaxPIVSize]byte
	opts [8]message.Option
}

// clientSide is what a client keeps of an exchange (Sections 5.3.1 and 7.4).
type clientSide struct {
	since    uint64 // deletions before the own Sender Context that made the request
	single   bool   // neither group nor Observe request: one response at most
	observe  bool   // the request registers an observation
	intended *peer
	heard    int                // how many servers answered
	first    server             // the one that answered first
	byKey    map[string]*server // the others, by public key
	byKID    map[string]*server // the same, by Sender ID
}

// peer is the intended server of a pairwise request.
type peer struct {
	id   []byte // current Recipient ID
	cred *cose.Credential
}

// server is what a client keeps per responding server.
type server struct {
	rec       *recipient // its id is kid1
	sawNoPIV  bool
	responses []responseNumber // at most seenEpochs, latest context last
	room      [1]responseNumber
}

// responseNumber is the highest Partial IV received under one Security Context
// (Section 5.3.1), and where the policy takes lower ones too, which of them were
// received.
type responseNumber struct {
	epoch  *common
	number uint64
	window *replay.Window // nil where only higher numbers are taken
}

// serverSide is what a server keeps of an exchange (Section 7.2).
type serverSide struct {
	client    *recipient
	self      *sender // own Sender Context when the request came
	seq       uint64  // of the request
	noReuse   bool    // it came under an invalid window: its nonce must not serve a response
	unproven  bool    // it must not be delivered before ConfirmFresh
	confirmed bool    // ConfirmFresh accepted it
	answered  bool
}

// Mode is how the request was protected.
func (x *Exchange) Mode() Mode { return x.mode }

// Gid returns a copy of the request's kid context.
func (x *Exchange) Gid() []byte { return bytes.Clone(x.req.gid) }

// KID returns a copy of the request's kid.
func (x *Exchange) KID() []byte { return append([]byte{}, x.req.kid...) }

// PartialIV returns a copy of the request's Partial IV.
func (x *Exchange) PartialIV() []byte { return bytes.Clone(x.req.piv) }

// Group is the group the request belongs to, whatever its Gid is meanwhile; nil
// if the request did not go through a Group. It is the invariant identifier of
// the group that a long exchange needs (Section 7.1).
func (x *Exchange) Group() *Group { return x.group }

// String names the exchange without key material.
func (x *Exchange) String() string {
	return fmt.Sprintf("%v mode exchange %x/%x/%x", x.mode, x.req.gid, x.req.kid, x.req.piv)
}

// Format writes String, whatever the verb.
func (x *Exchange) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, x.String()) }

// Close ends the exchange: the client freed the Token, or the server sends no
// more (Section 1.1). Later responses are refused with ErrExchangeDone.
func (x *Exchange) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
}

// Sender tells who a verified message is from. Its slices must not be modified.
type Sender struct {
	ID         []byte // Sender ID; a look-up key, no identity
	Gid        []byte
	Credential *cose.Credential // whose key verified the message
	Mode       Mode
	// PartialIV is the message's own, nil if it had none. Of the responses of
	// one server under one Gid the highest is the freshest (Section 5.3.1).
	PartialIV []byte
}
