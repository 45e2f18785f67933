package endpoint

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// ErrNoRecipientID is returned when all Recipient IDs of the allowed lengths are
// in use.
var ErrNoRecipientID = errors.New("no recipient id is free")

// maxRecipientID is the longest Recipient ID that NewRecipientID gives, in
// bytes: 16 million contexts.
const maxRecipientID = 3

// NewRecipientID allocates an identifier that no context, and no other caller,
// has: as short as there is room for, and random. It stays taken until a
// context with it is added and removed again, or until ReleaseRecipientID.
func (c *Contexts) NewRecipientID() ([]byte, error) {
	random := c.Rand
	if random == nil {
		random = rand.Reader
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 1; n <= maxRecipientID; n++ {
		if c.used[n] >= 1<<(8*n)*3/4 {
			continue // too full to draw from
		}
		for {
			id := make([]byte, n)
			if _, err := io.ReadFull(random, id); err != nil {
				return nil, fmt.Errorf("randomness for a recipient id: %w", err)
			}
			if c.taken(string(id)) {
				continue
			}
			c.hold(string(id), func() {
				if c.reserved == nil {
					c.reserved = make(map[string]struct{})
				}
				c.reserved[string(id)] = struct{}{}
			})
			return id, nil
		}
	}
	return nil, ErrNoRecipientID
}

// ReleaseRecipientID gives back an identifier of NewRecipientID for which no
// context was added.
func (c *Contexts) ReleaseRecipientID(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold(string(id), func() { delete(c.reserved, string(id)) })
}

func (c *Contexts) taken(id string) bool {
	_, reserved := c.reserved[id]
	return reserved || c.derive[id] != nil || len(c.pairwise[id]) > 0
}

// hold makes a change to what is known of id and keeps count of the used ones.
func (c *Contexts) hold(id string, change func()) {
	before := c.taken(id)
	change()
	if len(id) > maxRecipientID || before == c.taken(id) {
		return
	}
	if before {
		c.used[len(id)]--
	} else {
		c.used[len(id)]++
	}
}
