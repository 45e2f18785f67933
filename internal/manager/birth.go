package manager

import (
	"encoding/binary"
	"slices"
)

// Gids of most groups come from one counter and never again. A group with
// GidReuse has a base of its own and an epoch that goes round: its Gids have a
// fixed size, however often it is rekeyed, and are reassigned
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 11). Whoever joined under the
// Gid that comes next, its Birth Gid, is evicted first: it may not have noticed
// anything since, and would take the new group for the old one. When too many
// joined under every Gid that could come next, the group takes a fresh base, which
// no Gid had before, so nobody joined under any of its Gids.

// gidEpochs is how many Gids a group with GidReuse has.
const gidEpochs = 256

// maxElders is how many members one rekeying evicts for their Birth Gid; an epoch
// with more of them is passed over. It keeps the effect bounded.
const maxElders = 5

// gid makes the group's Gid of now. With GidReuse that is the prefix, a zero byte,
// which no other Gid has there, the base and the epoch.
func (h *head) gid(prefix []byte) []byte {
	if !h.Config.GidReuse {
		return gidBytes(prefix, h.GidNumber)
	}
	b := append(slices.Clone(prefix), 0)
	b = append(b, uintBytes(h.GidNumber, minGidSize)...)
	return append(b, byte(h.Epoch))
}

// baseNumber finds the counter value in a Gid of a group with GidReuse.
func baseNumber(prefix, gid []byte) (n uint64, ok bool) {
	rest, ok := cutPrefix(gid, prefix)
	if !ok || len(rest) < 1+minGidSize+1 || len(rest) > 1+8+1 || rest[0] != 0 {
		return 0, false
	}
	var b [8]byte
	base := rest[1 : len(rest)-1]
	copy(b[8-len(base):], base)
	return binary.BigEndian.Uint64(b[:]), true
}

func cutPrefix(b, prefix []byte) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != string(prefix) {
		return nil, false
	}
	return b[len(prefix):], true
}

// nextEpoch moves the Gid on and evicts the members who were born under the one
// that it becomes. Their Sender IDs go into the set of the version that ends.
func (t *txn) nextEpoch(h *head, c *counters) error {
	h.Elders = nil
	for i := uint64(1); i < h.Config.gidEpochs(); i++ {
		e := (h.Epoch + i) % h.Config.gidEpochs()
		elders, err := t.bornUnder(h.Number, h.birthEpoch(e))
		if err != nil {
			return err
		}
		if len(elders) > maxElders {
			continue
		}
		for _, m := range elders {
			h.Elders = append(h.Elders, m.Client)
			if err := t.removeMember(h, m, CauseElder, true); err != nil {
				return err
			}
		}
		h.Epoch = e
		return nil
	}
	h.Bases++
	h.Epoch = 0
	return t.nextGidNumber(h, c)
}

// nextGidNumber gives a group a counter value for its Gids that none had before.
func (t *txn) nextGidNumber(h *head, c *counters) error {
	if err := t.delete(nameGid(h.GidNumber)); err != nil {
		return err
	}
	h.GidNumber = c.NextGid
	c.NextGid++
	if err := t.put(nameGid(h.GidNumber), h.Number); err != nil {
		return err
	}
	return t.putCounters(c)
}

// birthEpoch numbers the epochs of all bases that the group has had: who joined
// under a Gid of an earlier base is born under none that can come again.
func (h *head) birthEpoch(epoch uint64) uint64 { return h.Bases*gidEpochs + epoch }

// bornUnder reads at most maxElders+1 members whose Birth Gid has an epoch, of a base.
func (r reader) bornUnder(g, epoch uint64) ([]*member, error) {
	names, err := r.firstNames(nameBirths(g, epoch), maxElders+1)
	if err != nil {
		return nil, err
	}
	out := make([]*member, 0, len(names))
	for _, n := range names {
		m, err := load[member](r, nameMember(g, n.ID(2)))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// setBirth notes under which Gid a member joined, or forgets it when it leaves.
func (t *txn) setBirth(h *head, m *member, joined bool) error {
	if m.Birth != 0 {
		if err := t.delete(nameBirth(h.Number, m.Birth-1, m.Number)); err != nil {
			return err
		}
		m.Birth = 0
	}
	if !joined || !h.Config.GidReuse {
		return nil
	}
	e := h.birthEpoch(h.Epoch)
	m.Birth = e + 1
	return t.put(nameBirth(h.Number, e, m.Number), m.Number)
}

// elder says whether a client was evicted by the latest rekeying for its Birth
// Gid: its coming back is no reason for another one.
func (h *head) elder(client uint64) bool { return slices.Contains(h.Elders, client) }

func (c GroupConfig) gidEpochs() uint64 { return uint64(max(c.GidEpochs, 2)) }

// headOfGid reads the group that may have a Gid now.
func (r reader) headOfGid(c *counters, gid []byte) (*head, error) {
	n, ok := gidNumber(c.GidPrefix, gid)
	if !ok {
		if n, ok = baseNumber(c.GidPrefix, gid); !ok {
			return nil, nil
		}
	}
	g, err := r.number(nameGid(n))
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	h, err := r.head(g)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	return h, nil
}
