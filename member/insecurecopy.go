package member

import (
	"context"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/oscore"
)

// copiedSequence is where the sequence numbers of a copy begin: half of the
// space above all that the device will ever use, so that the copy and the
// device never share a nonce.
const copiedSequence = 1 << 39

// CopiedKeys are the keys of one epoch of a device, outside its control. They
// are behind a pointer, so that what holds them does not print them.
type CopiedKeys struct{ *CopiedMaterial }

// CopiedMaterial is what CopiedKeys holds.
type CopiedMaterial struct {
	Context     *grouposcore.Context
	Params      grouposcore.Params
	Identity    grouposcore.Identity
	Credentials *grouposcore.StaticCredentials
}

// InsecureCopy returns the keys the device has now, as a thief would have them
// who read the device's memory. It shows in tests and demonstrations what those
// keys are worth after an eviction, and is good for nothing else: sequence
// numbers begin far above the device's own, and are reserved nowhere.
func (g *Group) InsecureCopy() (*CopiedKeys, error) {
	rec := g.record()
	p, _, err := rec.Epoch.params()
	if err != nil {
		return nil, err
	}
	id, err := g.identity(g.d.ctx, &rec)
	if err != nil {
		return nil, err
	}
	seq := oscore.NewSequence(copiedSequence)
	if err := seq.Reserve(g.d.ctx, first(func(context.Context, uint64) error { return nil }), 1<<20); err != nil {
		return nil, err
	}
	creds := new(grouposcore.StaticCredentials)
	g.dir.mu.RLock()
	for id, p := range g.dir.byID {
		creds.Set([]byte(id), p.cred)
	}
	g.dir.mu.RUnlock()
	cx, err := grouposcore.NewContext(p, id, seq, creds)
	if err != nil {
		return nil, err
	}
	return &CopiedKeys{&CopiedMaterial{Context: cx, Params: p, Identity: id, Credentials: creds}}, nil
}
