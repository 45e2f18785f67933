package endpoint

import (
	"strconv"
	"sync/atomic"
)

// Reason says why a datagram was dropped without an answer, or something else
// was given up silently. Reasons are for counters; nothing of them is seen on
// the network.
type Reason uint8

// The reasons.
const (
	DropMalformed      Reason = iota // no CoAP message, or of another version
	DropQueueFull                    // all workers busy and the queue full
	DropPeerBusy                     // one peer has too many requests in work
	DropDuplicate                    // a copy of a message that is in work or was served
	DropMulticastCON                 // confirmable request to a group address
	DropMulticastError               // error response to a group request
	DropCriticalOption               // unknown critical option, where no answer is allowed
	DropNoContext                    // no security context, where no answer is allowed
	DropUnverified                   // verification or decryption failed
	DropPlain                        // unprotected request to a group address
	DropSuppressed                   // response the client did not want (No-Response)
	DropNotFresh                     // replay found after a correct Echo
	DropNoCredential                 // waited for a credential in vain, or no room to wait
	DropUnexpected                   // response that nobody waits for, or stray ACK or RST
	DropResponseQueue                // a caller takes responses too slowly
	DropLeisure                      // too many group responses wait for their time
	DropProtect                      // a response could not be protected
	DropUnsent                       // the socket refused a datagram
	DropUnacknowledged               // a confirmable response was never acknowledged
	DropSignalling                   // code of a reserved class
	DropBudget                       // too many failed verifications of one sender or source
	DropUnvalidated                  // a challenge was sent instead of a long answer
	DropMulticastBlock               // block-wise request to a group
	DropObserver                     // no room for another observer
	DropStale                        // notification that a newer one overtook
	DropBlock                        // block-wise response that cannot be put together
	DropToken                        // the token of a request is longer than is served
	DropConnection                   // a connection was refused, ended for another one, or too slow
	DropAborted                      // a connection was aborted, for the peer broke the rules
	DropHandshake                    // a DTLS handshake failed, or had to make room
	DropNotReady                     // the owner of a context could not take its first request
	numReasons
)

var reasonNames = [numReasons]string{
	"malformed", "queue-full", "peer-busy", "duplicate", "multicast-con", "multicast-error", "critical-option",
	"no-context", "unverified", "plain-multicast", "suppressed", "not-fresh", "no-credential", "unexpected",
	"response-queue", "leisure", "protect", "unsent", "unacknowledged", "signalling", "budget", "unvalidated", "multicast-block", "observer", "stale", "block",
	"token", "connection", "aborted", "handshake", "not-ready",
}

// String returns a short lower-case name, fit for a metric label.
func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// Reasons returns all reasons, for whoever makes metrics of them.
func Reasons() []Reason {
	all := make([]Reason, numReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// Meter counts what is dropped silently. It is called from the read loop and
// must not block.
type Meter interface {
	Dropped(Reason)
}

// Counters is a Meter that adds up. The zero value is ready to use.
type Counters struct{ n [numReasons]atomic.Uint64 }

// Dropped implements Meter.
func (c *Counters) Dropped(r Reason) {
	if r < numReasons {
		c.n[r].Add(1)
	}
}

// Get returns how often a reason was counted.
func (c *Counters) Get(r Reason) uint64 {
	if r >= numReasons {
		return 0
	}
	return c.n[r].Load()
}

type noMeter struct{}

func (noMeter) Dropped(Reason) {}
