package endpoint

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// dedup remembers requests, so that a retransmission is answered with the same
// bytes and not served again (RFC 7252, Section 4.5).
//
// A request is known by a keyed hash over remote address, local address and
// the whole datagram, Message ID included: a stranger who guesses a Message ID
// can neither take the answer nor keep the real request from being served.
// While a request is in work it stands in running, which is bounded by the
// workers. It is remembered afterwards only if it verified, or if a resource
// accepted it unprotected; the two kinds have separate room, so that
// unprotected requests cannot push verified ones out.
type dedup struct {
	seed     maphash.Seed
	con, non time.Duration // how long requests are remembered

	mu       sync.Mutex
	running  map[uint64]*inflight
	verified *fairMemory
	plain    *fairMemory

	suspended map[uint64]*Opened // verified, but not served yet
	order     []uint64           // of these, oldest first
}

// kept says how a served request is remembered.
type kept uint8

const (
	forget    kept = iota // not at all: it was an error of a stranger
	keepPlain             // an unprotected resource accepted it
	keep                  // it verified
)

func newDedup(entries, bytes int, con, non time.Duration) *dedup {
	return &dedup{
		seed:     maphash.MakeSeed(),
		con:      con,
		non:      non,
		running:  make(map[uint64]*inflight),
		verified: newFairMemory(entries, bytes),
		plain:    newFairMemory(max(1, entries/plainShare), bytes/plainShare),
	}
}

// key hashes what tells one request from another. What it is modulo memoryParts
// follows from who sent it.
func (d *dedup) key(in *datagram) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	in.writeTo(&h)
	who := h.Sum64()
	h.Write(in.data)
	return h.Sum64()&^(memoryParts-1) | who&(memoryParts-1)
}

// begin registers f as in work. If the request is in work already it returns
// that one; if it was served it returns what was answered, possibly nothing; if
// it verified and was suspended it returns what came of that.
func (d *dedup) begin(f *inflight, now time.Time) (other *inflight, answer []byte, again *Opened, served bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.running[f.key]; other != nil {
		return other, nil, nil, false
	}
	for _, m := range []*fairMemory{d.verified, d.plain} {
		if answer, ok := m.get(f.key, now); ok {
			return nil, answer, nil, true
		}
	}
	d.running[f.key] = f
	if again = d.suspended[f.key]; again != nil {
		delete(d.suspended, f.key)
		d.order = slices.DeleteFunc(d.order, func(k uint64) bool { return k == f.key })
	}
	return nil, nil, again, false
}

// suspend ends the work on a request that verified and could not be served: it
// goes on with the next copy, since to the replay window that would be a replay.
func (d *dedup) suspend(f *inflight, o *Opened) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, f.key)
	if d.suspended == nil {
		d.suspended = make(map[uint64]*Opened)
	}
	if len(d.order) >= maxSuspended {
		delete(d.suspended, d.order[0])
		d.order = d.order[1:]
	}
	d.suspended[f.key] = o
	d.order = append(d.order, f.key)
}

// end says that f is served, and with which datagram.
func (d *dedup) end(f *inflight, how kept, answer []byte, now time.Time) {
	life := d.con
	if !f.con {
		life, answer = d.non, nil // copies of a NON are ignored
	}
	if f.stream() {
		return // nothing comes twice
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, f.key)
	switch how {
	case keep:
		d.verified.put(f.key, answer, now.Add(life))
	case keepPlain:
		d.plain.put(f.key, answer, now.Add(life))
	}
}
