package grouposcore

import (
	"bytes"
	"container/list"
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// windowsVersion is the form of what StopWindows gives.
const windowsVersion = 2

// storedWindows is that form: the Gid they are of, whether any Recipient Context
// was ever deleted, and the Replay Windows by Sender ID, most recently used
// first.
type storedWindows struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Gid     []byte
	Deleted bool
	Windows []storedWindow
}

type storedWindow struct {
	_      struct{} `cbor:",toarray"`
	ID     []byte
	Window []byte
}

// StopWindows returns all Replay Windows for [Context.RestoreWindows], at a
// clean stop (Section 14.18), and deletes all Recipient Contexts, so that
// nothing is accepted after it was saved. Stored while messages are still
// accepted, windows would accept them again.
func (c *Context) StopWindows() ([]byte, error) {
	s, err := c.peers.stop()
	if err != nil {
		return nil, fmt.Errorf("stop windows: %w", err)
	}
	s.Gid = c.gid
	return cborx.Marshal(s)
}

// stop takes everything out of the table.
func (t *table) stop() (*storedWindows, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &storedWindows{Version: windowsVersion, Deleted: t.lost || t.deleted > 0, Windows: []storedWindow{}}
	for e := t.order.Front(); e != nil; e = e.Next() {
		r := e.Value.(*recipient)
		r.mu.Lock()
		b, err := r.window.MarshalBinary()
		r.window.Invalidate()
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
		s.Windows = append(s.Windows, storedWindow{ID: r.id, Window: b})
	}
	for t.order.Len() > 0 {
		t.remove(t.order.Back()).removed.Store(true)
	}
	return s, nil
}

// RestoreWindows takes over what StopWindows gave, into a context that has
// heard nobody yet and was made with WindowsLost. What is restored must be
// destroyed in the store before the context receives anything. A window whose
// peer has no credential any more is dropped, which counts as a deletion. On an
// error all windows stay lost.
func (c *Context) RestoreWindows(b []byte) error {
	var s storedWindows
	if err := cborx.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%w: stored windows: %w", ErrParams, err)
	}
	if s.Version != windowsVersion {
		return fmt.Errorf("%w: stored windows of version %d", ErrParams, s.Version)
	}
	if !bytes.Equal(s.Gid, c.gid) {
		return fmt.Errorf("%w: stored windows of another gid", ErrParams)
	}
	if len(s.Windows) > c.params.MaxRecipients {
		s.Windows, s.Deleted = s.Windows[:c.params.MaxRecipients], true
	}
	byID := make(map[string]*list.Element, len(s.Windows))
	order := list.New()
	for _, w := range s.Windows {
		r, err := c.recipient(w.ID)
		if err != nil {
			s.Deleted = true
			continue
		}
		if err := r.window.UnmarshalBinary(w.Window); err != nil {
			return fmt.Errorf("%w: stored window: %w", ErrParams, err)
		}
		if byID[string(r.id)] != nil {
			return fmt.Errorf("%w: stored windows repeat an id", ErrParams)
		}
		byID[string(r.id)] = order.PushBack(r)
	}
	return c.peers.restore(byID, order, s.Deleted)
}

// restore fills an empty table.
func (t *table) restore(byID map[string]*list.Element, order *list.List, deleted bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.order.Len() > 0 || !t.lost || t.deleted > 0 {
		return fmt.Errorf("%w: windows can only be restored where they are lost", ErrParams)
	}
	t.byID, t.order, t.lost = byID, order, false
	if deleted {
		t.deleted = 1
	}
	return nil
}
