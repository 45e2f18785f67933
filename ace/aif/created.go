package aif

import (
	"errors"
	"sync"
)

// ErrTooManyCreated says that no more created objects can be kept.
var ErrTooManyCreated = errors.New("too many created resources")

// Created keeps which objects a subject has made by a request on a listed one: those whose location was in a response 2.01 to it.
// Permissions Dynamic-X of the listed one hold for them, and for nobody else (RFC 9237, Section 2.3). It is safe for
// concurrent use.
type Created struct {
	max int

	mu sync.Mutex
	by map[made]string // the listed object it was made on
}

type made struct{ subject, local string }

// NewCreated returns an empty set that holds at most max objects.
func NewCreated(max int) *Created { return &Created{max: max, by: make(map[made]string)} }

// Add notes that a subject made an object by a request on a listed one. It returns [ErrTooManyCreated] when there is no room.
func (c *Created) Add(subject, listed, local string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := made{subject, local}
	if _, known := c.by[k]; !known && len(c.by) >= c.max {
		return ErrTooManyCreated
	}
	c.by[k] = listed
	return nil
}

// Remove forgets an object that is gone.
func (c *Created) Remove(local string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.by {
		if k.local == local {
			delete(c.by, k)
		}
	}
}

// End forgets all that a subject made, for one whose token has ended.
func (c *Created) End(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.by {
		if k.subject == subject {
			delete(c.by, k)
		}
	}
}

func (c *Created) parent(subject, local string) (listed string, ok bool) {
	if c == nil {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	listed, ok = c.by[made{subject, local}]
	return listed, ok
}
