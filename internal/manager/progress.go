package manager

import "sync"

// memberKey names a membership in memory: group number and member number.
type memberKey struct{ group, member uint64 }

// progressTable remembers how far the material of the newest version has come on
// its way to members that have not confirmed it. It is a memory of what was
// done, not state: after a restart everything is sent again. It has at most one
// entry per member.
type progressTable struct {
	mu sync.Mutex
	m  map[memberKey]progress
}

type progress struct {
	version  uint64
	stage    Stage
	attempts int
}

// advance moves a member's stage for a version; a newer version starts anew, an
// older one changes nothing.
func (p *progressTable) advance(k memberKey, version uint64, to Stage, attempts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.m[k]
	switch {
	case e.version > version && e.stage != StageWaiting:
		return
	case e.version != version:
		e = progress{version: version}
	}
	e.stage = e.stage.Advance(to)
	e.attempts += attempts
	if p.m == nil {
		p.m = map[memberKey]progress{}
	}
	p.m[k] = e
}

// fetched notes that the member was handed a version on its own request.
func (p *progressTable) fetched(k memberKey, version uint64) {
	p.advance(k, version, StageFetched, 0)
}

// hasFetched reports whether the member was handed that version on its own request.
func (p *progressTable) hasFetched(k memberKey, version uint64) bool {
	e := p.get(k, version)
	return e.stage == StageFetched
}

// get gives the entry for a version, zero when there is none.
func (p *progressTable) get(k memberKey, version uint64) progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.m[k]; e.version == version {
		return e
	}
	return progress{version: version}
}

func (p *progressTable) forget(k memberKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, k)
}

// stage derives how far a member is with a version.
func (s *Service) stage(m *member, version uint64) Stage {
	if m.has(version) {
		return StageConfirmed
	}
	st := s.progress.get(memberKey{m.Group, m.Number}, version).stage
	if m.Given == version+1 {
		st = st.Advance(StageFetched)
	}
	return st
}
