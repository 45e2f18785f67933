package endpoint

import (
	"sync"
	"time"
)

// memory is a bounded map from hashes to datagrams, whose oldest entries make
// room for new ones. It is not safe for concurrent use.
type memory struct {
	entries, room int // limits

	index map[uint64]uint64 // key to serial number
	list  []served          // in the order of insertion; list[head:] is alive
	head  int
	base  uint64 // serial number of list[0]
	bytes int
}

type served struct {
	key    uint64
	answer []byte
	until  time.Time
}

func newMemory(entries, room int) memory {
	return memory{entries: entries, room: room, index: make(map[uint64]uint64)}
}

func (m *memory) len() int { return len(m.list) - m.head }

// get returns what was put under key and has not expired.
func (m *memory) get(key uint64, now time.Time) ([]byte, bool) {
	serial, ok := m.index[key]
	if !ok {
		return nil, false
	}
	s := &m.list[serial-m.base]
	if !now.Before(s.until) {
		return nil, false
	}
	return s.answer, true
}

// put remembers answer, which it keeps, until a time. An entry that alone is
// larger than the room is not kept.
func (m *memory) put(key uint64, answer []byte, until time.Time) {
	if len(answer) > m.room {
		return
	}
	for m.len() > 0 && (m.len() >= m.entries || m.bytes+len(answer) > m.room) {
		m.evict()
	}
	m.index[key] = m.base + uint64(len(m.list))
	m.list = append(m.list, served{key, answer, until})
	m.bytes += len(answer)
}

func (m *memory) evict() {
	s := &m.list[m.head]
	if m.index[s.key] == m.base+uint64(m.head) {
		delete(m.index, s.key)
	}
	m.bytes -= len(s.answer)
	*s = served{}
	m.head++
	if m.head >= 64 && m.head*2 >= len(m.list) {
		n := copy(m.list, m.list[m.head:])
		clear(m.list[n:])
		m.list = m.list[:n]
		m.base += uint64(m.head)
		m.head = 0
	}
}

// recentSet remembers the responses that arrived, for copies of them. It is
// safe for concurrent use.
type recentSet struct {
	mu sync.Mutex
	m  memory
}

func newRecentSet(entries int) *recentSet {
	return &recentSet{m: newMemory(entries, 0)}
}

func (r *recentSet) has(key uint64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.m.get(key, now)
	return ok
}

func (r *recentSet) add(key uint64, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m.put(key, nil, until)
}
