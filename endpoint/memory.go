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

// fairMemory is a memory for what many remotes send. They are spread over parts,
// and the oldest entry of the largest part makes room: who sends much loses his
// own entries, or those of the few who share his part, and not everybody's.
type fairMemory struct {
	parts         [memoryParts]memory
	entries, room int // limits
	n, bytes      int
}

func newFairMemory(entries, room int) *fairMemory {
	f := &fairMemory{entries: entries, room: room}
	for i := range f.parts {
		f.parts[i] = newMemory(entries, room)
	}
	return f
}

func (f *fairMemory) len() int { return f.n }

// get is that of a memory. The part follows from the key, which says who sent
// what is remembered: see dedup.key.
func (f *fairMemory) get(key uint64, now time.Time) ([]byte, bool) {
	return f.parts[key%memoryParts].get(key, now)
}

// put is that of a memory.
func (f *fairMemory) put(key uint64, answer []byte, until time.Time) {
	if len(answer) > f.room {
		return
	}
	for f.n > 0 && (f.n >= f.entries || f.bytes+len(answer) > f.room) {
		f.change(f.largest(), (*memory).evict)
	}
	f.change(&f.parts[key%memoryParts], func(m *memory) { m.put(key, answer, until) })
}

func (f *fairMemory) change(m *memory, do func(*memory)) {
	n, bytes := m.len(), m.bytes
	do(m)
	f.n += m.len() - n
	f.bytes += m.bytes - bytes
}

// largest is the part with the largest share of what is limited.
func (f *fairMemory) largest() *memory {
	var most *memory
	share := -1
	for i := range f.parts {
		m := &f.parts[i]
		// In the unit of entries times room, to compare both kinds.
		if s := max(m.len()*f.room, m.bytes*f.entries); m.len() > 0 && s > share {
			most, share = m, s
		}
	}
	return most
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
