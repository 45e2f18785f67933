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
	deleted  bool       // sticky: some Recipient Context was ever deleted
	onDelete func([]byte)
}

func newTable(limit int, lost bool, onDelete func([]byte)) *table {
	return &table{max: limit, byID: make(map[string]*list.Element), order: list.New(), deleted: lost, onDelete: onDelete}
}

// get returns the Recipient Context of an ID, or nil.
func (t *table) get(id []byte) *recipient {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byID[string(id)]; e != nil {
		return e.Value.(*recipient)
	}
	return nil
}

// admit puts r into the table after a message verified under it, or marks it
// as used, and returns the one that counts: another message may have been
// faster. A Recipient Context that is new after any was deleted starts with an
// invalid window (Section 2.6.1.2). r.removed is ErrStale.
func (t *table) admit(r *recipient) (*recipient, error) {
	var evicted *recipient
	t.mu.Lock()
	if e := t.byID[string(r.id)]; e != nil {
		t.order.MoveToFront(e)
		r = e.Value.(*recipient)
	} else if r.removed.Load() {
		t.mu.Unlock()
		return nil, ErrStale
	} else {
		if t.order.Len() >= t.max {
			evicted = t.remove(t.order.Back())
		}
		if t.deleted {
			r.mu.Lock()
			r.window.Invalidate()
			r.mu.Unlock()
		}
		t.byID[string(r.id)] = t.order.PushFront(r)
	}
	t.mu.Unlock()
	if evicted != nil && t.onDelete != nil {
		t.onDelete(evicted.id)
	}
	return r, nil
}

// remove takes an element out and sets the sticky bit; t.mu is held.
func (t *table) remove(e *list.Element) *recipient {
	r := t.order.Remove(e).(*recipient)
	delete(t.byID, string(r.id))
	t.deleted = true
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

// clear removes all Recipient Contexts on purpose.
func (t *table) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
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

// sticky reports whether any Recipient Context was ever deleted.
func (t *table) sticky() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deleted
}
