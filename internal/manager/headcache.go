package manager

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// headCache remembers what the records of groups decoded to: every request reads the
// head of its group, and it is the largest record of all. An entry counts only for
// the very bytes that it was made of, so a reader of any state gets what that state
// holds, and nothing has to be kept in step. There are two for each group: what was
// read last, and what was written last, which the next effect sees before it is
// durable. The cache also remembers under which number a group's name was found;
// that the record bears the name is looked at again.
type headCache struct {
	mu    sync.Mutex
	heads map[uint64]*twoHeads
	names map[string]uint64
}

type twoHeads struct {
	name          string
	read, written decodedHead
}

// decodedHead is a record and what it says. What the head's slices and pointers lead
// to is shared by all who get a copy; it is never changed in place.
type decodedHead struct {
	raw  secret.Bytes
	head head
}

// maxHeads bounds the groups that are remembered, of some 2 KiB each; any of them
// makes room.
const maxHeads = 1024

func (c *headCache) get(g uint64, raw []byte) (*head, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	two := c.heads[g]
	if two == nil {
		return nil, false
	}
	for _, d := range []*decodedHead{&two.read, &two.written} {
		if bytes.Equal(d.raw, raw) {
			h := d.head
			return &h, true
		}
	}
	return nil, false
}

// put remembers a record that was read, or written.
func (c *headCache) put(raw []byte, h *head, written bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	two := c.heads[h.Number]
	if two == nil {
		two = c.add(h)
	}
	if written {
		two.written = decodedHead{raw, *h}
	} else {
		two.read = decodedHead{raw, *h}
	}
}

// add makes room for a group, with c.mu held.
func (c *headCache) add(h *head) *twoHeads {
	if c.heads == nil {
		c.heads, c.names = map[uint64]*twoHeads{}, map[string]uint64{}
	}
	for other := range c.heads {
		if len(c.heads) < maxHeads {
			break
		}
		c.remove(other)
	}
	two := &twoHeads{name: h.Name}
	c.heads[h.Number], c.names[h.Name] = two, h.Number
	return two
}

func (c *headCache) forget(g uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(g)
}

// remove forgets a group, with c.mu held.
func (c *headCache) remove(g uint64) {
	if two := c.heads[g]; two != nil {
		delete(c.heads, g)
		if c.names[two.name] == g {
			delete(c.names, two.name)
		}
	}
}

// number gives the number that a group of this name had; 0: not known.
func (c *headCache) number(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[name]
}

// head reads the head of a group; keystore.ErrNotFound passes through.
func (r reader) head(g uint64) (*head, error) {
	n := nameGroup(g)
	raw, err := r.Get(n)
	if errors.Is(err, keystore.ErrNotFound) {
		r.s.heads.forget(g)
	}
	if err != nil {
		return nil, err
	}
	if h, ok := r.s.heads.get(g, raw); ok {
		return h, nil
	}
	h, err := decode[head](n, raw)
	if err != nil {
		return nil, err
	}
	r.s.heads.put(raw, h, false)
	return h, nil
}

// group reads a group's head by name; KindNotFound when there is none.
func (r reader) group(name string) (*head, error) {
	if n := r.s.heads.number(name); n != 0 {
		// One that is being deleted may have a successor of the same name.
		if h, err := r.head(n); err == nil && h.Name == name && h.State != GroupDeleting {
			return h, nil
		}
	}
	n, err := r.indexed(groupNames, name)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, refuse(KindNotFound, "no such group")
	}
	h, err := r.head(n)
	if errors.Is(err, keystore.ErrNotFound) || (err == nil && h.Name != name) {
		return nil, refuse(KindNotFound, "no such group")
	}
	return h, err
}

func (t *txn) putHead(h *head) error {
	n := nameGroup(h.Number)
	b, err := encodeRecord(h)
	if err != nil {
		return fmt.Errorf("record %v: %w", n, err)
	}
	t.s.heads.put(b, h, true)
	return t.tx.Put(n, b)
}
