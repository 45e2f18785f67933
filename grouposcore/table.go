package grouposcore

import (
	"container/list"
	"sync"
)

// table holds the Recipient Contexts of one Security Context, bounded, with
// the one unused for longest first to go.
type table struct {
	mu       sync.Mutex
	max      int
	byID     map[string]*list.Element
	order    *list.List // of *recipient, most recently used in front
	lost     bool       // windows of this Gid existed before this table and are gone
	deleted  uint64     // how many Recipient Contexts were ever deleted
	stale    map[string]struct{}
	emptied  bool // by clear
	onDelete func([]byte)
}

func newTable(limit int, lost bool, onDelete func([]byte)) *table {
	return &table{max: limit, byID: make(map[string]*list.Element), order: list.New(), lost: lost, onDelete: onDelete}
}

// get returns the Recipient Context of an ID, or nil.
func (t *table) get(id []byte) *recipient {
	r, _ := t.find(id)
	return r
}

// find returns the Recipient Context of an ID, or nil. ErrStale says that the
// ID was purged.
func (t *table) find(id []byte) (*recipient, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byID[string(id)]; e != nil {
		return e.Value.(*recipient), nil
	}
	if _, stale := t.stale[string(id)]; stale {
		return nil, ErrStale
	}
	return nil, nil
}

// admit puts r into the table after a message verified under it, or marks it
// as used, and returns the one that counts: another message may have been
// faster. A Recipient Context that is new after any was deleted starts with an
// invalid window (Section 2.6.1.2). ErrStale is returned if r was deleted on
// purpose, or has another credential than what verified under r.
func (t *table) admit(r *recipient) (*recipient, error) {
	known, evicted, err := t.enter(r)
	if evicted != nil && t.onDelete != nil {
		t.onDelete(evicted.id)
	}
	return known, err
}

// enter is admit up to telling of the one that had to leave.
func (t *table) enter(r *recipient) (known, evicted *recipient, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byID[string(r.id)]; e != nil {
		known = e.Value.(*recipient)
		if !known.has(r.cred) {
			return nil, nil, ErrStale
		}
		t.order.MoveToFront(e)
		return known, nil, nil
	}
	if _, stale := t.stale[string(r.id)]; stale || r.removed.Load() {
		return nil, nil, ErrStale
	}
	if t.order.Len() >= t.max {
		evicted = t.remove(t.order.Back())
	}
	if err := r.enter(t.deleted, t.lost); err != nil {
		return nil, evicted, err
	}
	t.byID[string(r.id)] = t.order.PushFront(r)
	return r, evicted, nil
}

// replace puts n in the place of r, whose member has another credential now:
// n has r's Replay Window, so nothing is lost. It returns the one that counts.
func (t *table) replace(r, n *recipient) *recipient {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byID[string(r.id)]
	if e == nil || e.Value.(*recipient) != r {
		return n
	}
	n.inherit(r)
	e.Value = n
	return n
}

// forgetPairwise deletes all pairwise keys (Section 2.5.1).
func (t *table) forgetPairwise() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Front(); e != nil; e = e.Next() {
		e.Value.(*recipient).forgetPairwise()
	}
}

// remove takes an element out and counts that; t.mu is held.
func (t *table) remove(e *list.Element) *recipient {
	r := t.order.Remove(e).(*recipient)
	delete(t.byID, string(r.id))
	t.deleted++
	return r
}

// delete removes a Recipient Context on purpose. Exchanges that hold it refuse
// its messages from now on.
func (t *table) delete(id []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byID[string(id)]
	if e == nil {
		return false
	}
	t.remove(e).removed.Store(true)
	return true
}

// purge deletes the Recipient Context of a stale Sender ID, which is not
// assigned again under this Gid, and admits none for it any more.
func (t *table) purge(id []byte) {
	t.mu.Lock()
	if t.stale == nil {
		t.stale = make(map[string]struct{})
	}
	t.stale[string(id)] = struct{}{}
	t.mu.Unlock()
	t.delete(id)
}

// gone reports whether a Recipient Context that an exchange holds, perhaps for
// longer than the table did, is of a member that was removed.
func (t *table) gone(r *recipient) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, stale := t.stale[string(r.id)]; stale || r.removed.Load() {
		return true
	}
	e := t.byID[string(r.id)]
	return t.emptied && (e == nil || e.Value.(*recipient) != r)
}

// clear removes all Recipient Contexts on purpose.
func (t *table) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.emptied = true
	for t.order.Len() > 0 {
		t.remove(t.order.Back()).removed.Store(true)
	}
}

// len is how many Recipient Contexts there are.
func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order.Len()
}

// deletions is how many Recipient Contexts were ever deleted.
func (t *table) deletions() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deleted
}

// sticky reports whether new Recipient Contexts start with an invalid window.
func (t *table) sticky() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost || t.deleted > 0
}
