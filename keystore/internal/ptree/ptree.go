// Package ptree is a persistent ordered map from strings to bytes: every change gives a new map and leaves the old one as it
// was, so a reader keeps a consistent state without a lock. It is a treap whose priorities are hashes of the keys; changes and
// look-ups take time logarithmic in the number of entries.
package ptree

import "hash/maphash"

// Map is one state. The zero value is not usable; see New.
type Map struct {
	root *node
	seed maphash.Seed
	size int // bytes of keys and values
	n    int
}

type node struct {
	key         string
	value       []byte
	priority    uint64
	left, right *node
}

// New returns the empty map.
func New() *Map { return &Map{seed: maphash.MakeSeed()} }

// Len returns the number of entries.
func (m *Map) Len() int { return m.n }

// Size returns the bytes of all keys and values.
func (m *Map) Size() int { return m.size }

// Get returns the value of key. The slice must not be changed.
func (m *Map) Get(key string) ([]byte, bool) {
	for n := m.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return nil, false
}

// Put returns a map that holds value, which must not be changed afterwards, under key.
func (m *Map) Put(key string, value []byte) *Map {
	out := *m
	if old, ok := m.Get(key); ok {
		out.size -= len(key) + len(old)
	} else {
		out.n++
	}
	out.size += len(key) + len(value)
	out.root = put(m.root, &node{key: key, value: value, priority: maphash.String(m.seed, key)})
	return &out
}

// Delete returns a map without key.
func (m *Map) Delete(key string) *Map {
	old, ok := m.Get(key)
	if !ok {
		return m
	}
	out := *m
	out.n--
	out.size -= len(key) + len(old)
	out.root = remove(m.root, key)
	return &out
}

// Ascend calls fn for each entry whose key is at least from, in order, until fn returns false.
func (m *Map) Ascend(from string, fn func(key string, value []byte) bool) { ascend(m.root, from, fn) }

func put(t, add *node) *node {
	if t == nil {
		return add
	}
	if add.key == t.key {
		return &node{t.key, add.value, t.priority, t.left, t.right}
	}
	if add.priority > t.priority {
		left, right := split(t, add.key)
		return &node{add.key, add.value, add.priority, left, right}
	}
	c := *t
	if add.key < t.key {
		c.left = put(t.left, add)
	} else {
		c.right = put(t.right, add)
	}
	return &c
}

// split divides t into keys below and above key, which t does not hold: an equal key has an equal priority and is met before.
func split(t *node, key string) (left, right *node) {
	if t == nil {
		return nil, nil
	}
	c := *t
	switch {
	case t.key < key:
		c.right, right = split(t.right, key)
		return &c, right
	case t.key > key:
		left, c.left = split(t.left, key)
		return left, &c
	}
	return t.left, t.right
}

func remove(t *node, key string) *node {
	if t.key == key {
		return merge(t.left, t.right)
	}
	c := *t
	if key < t.key {
		c.left = remove(t.left, key)
	} else {
		c.right = remove(t.right, key)
	}
	return &c
}

func merge(l, r *node) *node {
	if l == nil {
		return r
	}
	if r == nil {
		return l
	}
	if l.priority >= r.priority {
		c := *l
		c.right = merge(l.right, r)
		return &c
	}
	c := *r
	c.left = merge(l, r.left)
	return &c
}

func ascend(t *node, from string, fn func(string, []byte) bool) bool {
	if t == nil {
		return true
	}
	if t.key >= from {
		if !ascend(t.left, from, fn) || !fn(t.key, t.value) {
			return false
		}
	}
	return ascend(t.right, from, fn)
}
