package keystore

// group is one commit in the making: the effects of functions that ran one after another.
type group struct {
	changes overlay
	audit   [][]byte
	bytes   int
	effects int
	schema  *uint32
	anchor  bool
	settle  bool
	base    *group        // the group in flight when this one began; if that fails, so does this
	done    chan struct{} // closed when err is final
	err     error
}

func newGroup(base *group) *group {
	return &group{changes: make(overlay), base: base, done: make(chan struct{})}
}

// failed tells whether the group is done and was not applied. The caller holds the store's mutex, under which groups end.
func (g *group) failed() error {
	if g == nil {
		return nil
	}
	select {
	case <-g.done:
		return g.err
	default:
		return nil
	}
}

func (g *group) full() bool { return g.effects >= maxGroupEffects || g.bytes >= maxGroupBytes }

func (g *group) merge(tx *Tx) {
	for n, v := range tx.own {
		g.changes[n] = v
	}
	g.audit = append(g.audit, tx.audit...)
	g.bytes += tx.bytes
	g.effects++
	g.anchor = g.anchor || tx.anchor
	g.settle = g.settle || tx.settle
	if tx.schema != nil {
		g.schema = tx.schema
	}
}

func (g *group) finish(err error) {
	g.err = err
	close(g.done)
}
