package endpoint

// NotifyWhere is [Endpoint.Notify] for those observers of a path whose peer
// matches: a change of what only some may see. match is called at once and must
// not block.
func (e *Endpoint) NotifyWhere(path string, match func(Peer) bool) int {
	n := e.observers
	n.mu.Lock()
	defer n.mu.Unlock()
	told := 0
	for ob := range n.paths[path] {
		if match(ob.peer) {
			told++
			n.change(ob, nil)
		}
	}
	return told
}

// EndObservers ends the observations of peers that match, whatever they observe,
// and tells each of them by last; those that wait to be told another last word by
// [Endpoint.NotifyFunc] are told that. Other changes, before and after, give way to
// it. What could not be sent in the end, for instance because the security context
// gives out no more sequence numbers, is for [Endpoint.ForgetObservers]. match is
// called at once and must not block.
func (e *Endpoint) EndObservers(match func(Peer) bool, last Notification) int {
	last.Final = true
	n := e.observers
	n.mu.Lock()
	defer n.mu.Unlock()
	told := 0
	for _, at := range n.paths {
		for ob := range at {
			if !match(ob.peer) {
				continue
			}
			told++
			if !ob.dirty || ob.give == nil {
				n.change(ob, func(Peer) (Notification, bool) { return last, true })
			}
			if ob.word == nil {
				ob.word = &last
			}
		}
	}
	return told
}
