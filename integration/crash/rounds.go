package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

// task is one thing that goes on when the process is killed.
type task struct {
	what string
	run  func(ctx context.Context) error
}

// plan picks what a few devices do, and perhaps something of the operator.
func (w *world) plan() []task {
	var out []task
	w.putsOut = w.cfg.GidEpochs > 0
	for _, i := range w.rand.Perm(len(w.devices))[:2+w.rand.IntN(3)] {
		out = append(out, w.pick(w.devices[i]))
	}
	if w.rand.IntN(2) == 0 {
		out = append(out, w.operate())
	}
	return out
}

// ciphers are what a change of the configuration chooses from: the credentials and
// Sender IDs of all members fit each.
var ciphers = []string{"AES-CCM-16-64-128", "AES-CCM-16-128-128"}

// operate picks something that the operator does to the group.
func (w *world) operate() task {
	op := w.proc.operator
	switch w.rand.IntN(5) {
	case 0:
		return task{"the key of the Group Manager is rotated", func(ctx context.Context) error {
			_, err := op.RotateIdentity(ctx, groupName)
			return err
		}}
	case 1:
		w.putsOut = true
		return task{"old material is invalidated", func(ctx context.Context) error {
			_, err := op.Invalidate(ctx, groupName)
			return err
		}}
	case 2:
		w.putsOut = true // nobody; but nobody can join meanwhile
		change := fmt.Sprintf(`{"group_encryption": %q}`, ciphers[w.rand.IntN(len(ciphers))])
		return task{"the configuration is changed", func(ctx context.Context) error {
			var u httpapi.GroupUpdate
			if err := json.Unmarshal([]byte(change), &u); err != nil {
				return err
			}
			_, err := op.UpdateGroup(ctx, groupName, u)
			return err
		}}
	}
	return task{"rekey", func(ctx context.Context) error {
		_, err := op.Rekey(ctx, groupName)
		return err
	}}
}

func (w *world) pick(d *device) task {
	d.mu.Lock()
	is, node := d.is, d.node
	d.mu.Unlock()
	if is != in {
		return task{d.name + " joins", d.join}
	}
	switch w.rand.IntN(5) {
	case 0:
		return task{d.name + " leaves", d.leave}
	case 1:
		return task{d.name + " is evicted", func(ctx context.Context) error { return w.evict(ctx, d, node) }}
	case 2:
		return task{d.name + " renews", d.renew}
	case 3:
		return task{d.name + " joins again", d.join}
	}
	return task{d.name + " refreshes", func(ctx context.Context) error {
		_, err := d.refresh(ctx, node)
		return err
	}}
}

func (w *world) evict(ctx context.Context, d *device, node string) error {
	d.doubt()
	if _, err := w.proc.operator.Evict(ctx, groupName, node); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is = out
	return nil
}

// longestRound is how long a round's tasks may take before the kill, at most.
const longestRound = 150 * time.Millisecond

// crash runs a round: tasks side by side, and in the middle of them the kill, at
// a random datagram or a random time, whichever is first.
func (w *world) crash(ctx context.Context) error {
	w.round.Add(1)
	tasks := w.plan()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.fuse, w.blown = 1+w.rand.IntN(12*len(tasks)), make(chan struct{})
	blown := w.blown
	w.mu.Unlock()
	late := time.Duration(w.rand.Int64N(int64(longestRound)))
	var running sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	for _, t := range tasks {
		running.Go(func() {
			err := t.run(ctx)
			w.count(err)
			var refused *errRefused
			if errors.As(err, &refused) && !w.excuses(refused) { // nobody asked for anything that is not allowed
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %w", t.what, err))
			}
		})
	}
	select {
	case <-blown:
	case <-time.After(late):
	}
	err := w.proc.kill()
	// What is on its way may still arrive, and so be known to be done.
	time.Sleep(time.Millisecond)
	cancel()
	running.Wait()
	w.mu.Lock()
	w.fuse = 0
	w.mu.Unlock()
	return errors.Join(append(faults, err, w.judge())...)
}

// excuses says whether a refusal can be due to what else goes on in the round: the
// device was put out meanwhile, or nobody may join for a moment.
func (w *world) excuses(r *errRefused) bool {
	return w.putsOut && (r.code == codes.Forbidden || r.code == codes.ServiceUnavailable)
}

// count tells tasks that were cut off from those that came to their end.
func (w *world) count(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks++
	if err != nil {
		w.cutOff++
	}
}

// view is what the operator sees after a start.
type view struct {
	keys    httpapi.Keys
	members map[string]httpapi.Member // by client
}

// look asks the Group Manager as its operator.
func (w *world) look(ctx context.Context) (*view, error) {
	keys, err := w.proc.operator.Keys(ctx, groupName)
	for end := time.Now().Add(w.cfg.Window + time.Second); err == nil && keys.Due != "" && w.cfg.Window > 0 && time.Now().Before(end); {
		time.Sleep(w.cfg.Window / 4)
		keys, err = w.proc.operator.Keys(ctx, groupName)
	}
	if err != nil {
		return nil, err
	}
	members, err := w.proc.operator.Members(ctx, groupName)
	if err != nil {
		return nil, err
	}
	w.secrets.Lock()
	defer w.secrets.Unlock()
	v := &view{keys, map[string]httpapi.Member{}}
	if err := w.facts.material(keys.Gid, keys.Version, nil); err != nil {
		return nil, err
	}
	if keys.Due != "" {
		return nil, fmt.Errorf("half a rekeying is left: due for %s", keys.Due)
	}
	for _, m := range members {
		if _, twice := v.members[m.Client]; twice {
			return nil, fmt.Errorf("%s is a member twice", m.Client)
		}
		v.members[m.Client] = m
		if err := first(w.facts.node(m.Node, m.Client), w.facts.sender(keys.Gid, keys.Version, m.SenderID, m.Node, false)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// check starts the process again and compares what it says with what was told
// before.
func (w *world) check(ctx context.Context) error {
	before := w.facts.newest
	if err := w.proc.start(ctx); err != nil {
		return err
	}
	v, err := w.look(ctx)
	if err != nil {
		return err
	}
	rekeys := w.cfg.Policy != "keep" // a kill is no clean stop
	if v.keys.Version < before || rekeys && v.keys.Version == before {
		return fmt.Errorf("version %d after version %d was given out", v.keys.Version, before)
	}
	errs := make([]error, len(w.devices))
	var running sync.WaitGroup
	for i, d := range w.devices {
		running.Go(func() {
			if err := d.compare(ctx, v); err != nil {
				errs[i] = fmt.Errorf("%s: %w", d.name, err)
			}
		})
	}
	running.Wait()
	return errors.Join(append(errs, w.judge())...)
}

// mayLose says whether a member that joined under version born may have been put
// out by version now without having been told: by what the operator did, or as its
// Birth Gid came back.
func (w *world) mayLose(born, now uint64) bool {
	if w.cfg.GidEpochs > 0 && now-born < uint64(w.cfg.GidEpochs-1) {
		return false
	}
	return w.putsOut
}

// compare checks the membership of one device, and brings it up to date.
func (d *device) compare(ctx context.Context, v *view) error {
	m, listed := v.members[d.name]
	d.mu.Lock()
	was, node, had := d.is, d.node, d.holds
	switch {
	case was == in && !listed && !d.w.mayLose(d.born, v.keys.Version):
		defer d.mu.Unlock()
		return fmt.Errorf("was told that it is in as %s and is no member", node)
	case was == in && listed && node != m.Node:
		defer d.mu.Unlock()
		return fmt.Errorf("is member %s and was told %s", m.Node, node)
	case was == out && listed:
		defer d.mu.Unlock()
		return fmt.Errorf("was told that it is out and is member %s", m.Node)
	case !listed && d.had[v.keys.Version]:
		defer d.mu.Unlock()
		return fmt.Errorf("is no member and has the key of version %d", v.keys.Version)
	}
	d.is = out
	if listed {
		d.is, node = in, m.Node
	}
	d.mu.Unlock()
	if node == "" {
		return nil // it never was a member
	}
	member, err := d.refresh(ctx, node)
	if err != nil || member != listed {
		return fmt.Errorf("the operator sees a member: %v, the device: %v, %w", listed, member, err)
	}
	if !listed {
		return nil
	}
	d.mu.Lock()
	now := d.holds
	d.mu.Unlock()
	if string(now.key.Gid) == string(v.keys.Gid) && string(now.key.SenderID) != string(m.SenderID) {
		return fmt.Errorf("the operator sees Sender ID %x, the device %x", m.SenderID, now.key.SenderID)
	}
	if had == nil || had.version >= v.keys.Version {
		return nil
	}
	return d.checkStale(ctx, had.version)
}

// checkStale: those who left since a version are among the Sender IDs that are
// stale since then.
func (d *device) checkStale(ctx context.Context, since uint64) error {
	stale, err := d.staleSince(ctx, since)
	if err != nil || stale == nil {
		return err
	}
	for _, o := range d.w.devices {
		if o == d {
			continue
		}
		o.mu.Lock()
		gone := o.is == out && o.holds != nil && o.holds.version >= since
		var id []byte
		if gone {
			id = o.holds.key.SenderID
		}
		o.mu.Unlock()
		if gone && !slices.ContainsFunc(stale, func(s []byte) bool { return string(s) == string(id) }) {
			return fmt.Errorf("%s left with Sender ID %x since version %d, and %x are stale", o.name, id, since, stale)
		}
	}
	return nil
}

// settle waits until every member has shown that it holds the newest material.
func (w *world) settle(ctx context.Context) error {
	for {
		p, err := w.proc.operator.Pending(ctx, groupName)
		if err != nil {
			return err
		}
		if len(p) == 0 {
			return w.judge()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d members without the newest material: %+v", len(p), p)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
