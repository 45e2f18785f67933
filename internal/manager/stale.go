package manager

import (
	"context"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// StaleSIDs gives a member that holds an older version the Sender IDs given up
// since then; nil when the sets no longer reach back so far, on which the member
// forgets everybody (draft-ietf-ace-key-groupcomm-oscore-21, Section 11.3.1).
// payload is the version the member holds.
//
// With V' the current version the answer is the union of the V'-V+1 newest sets.
func (s *Service) StaleSIDs(_ context.Context, c Caller, group string, payload []byte) (ids [][]byte, err error) {
	err = s.serve(c, group, func(r reader, a *access) error {
		if err := a.onlyMember(); err != nil {
			return err
		}
		v, err := groupcomm.ParseNum(payload)
		if err != nil {
			return fault(KindMalformed, err, "the request is not a version")
		}
		if v >= a.head.Version {
			return refuse(KindMalformed, "version %d is not older than the current one", v)
		}
		if v < a.head.OldestStale {
			return nil
		}
		ids, err = r.staleSince(a.head, v)
		return err
	})
	return ids, err
}

// staleSince gives the union of the sets from version v to the current one.
func (r reader) staleSince(h *head, v uint64) ([][]byte, error) {
	out := [][]byte{}
	seen := map[string]bool{}
	for ; v <= h.Version; v++ {
		set, err := r.staleSet(h.Number, v)
		if err != nil {
			return nil, err
		}
		for _, id := range set {
			if !seen[string(id)] {
				seen[string(id)] = true
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// pruneStep is how many records of dropped stale sets one transaction removes.
const pruneStep = 32

// pruneStale removes the records of stale sets that no longer count. They are
// out of every answer since the head says so; this only gives the space back.
func (s *Service) pruneStale(ctx context.Context, g uint64) error {
	for more := true; more; {
		err := s.update(ctx, func(t *txn) error {
			more = false
			h, err := t.head(g)
			if err != nil {
				return ignoreNotFound(err)
			}
			left := pruneStep
			for h.PrunedStale < h.OldestStale && left > 0 {
				names, err := t.firstNames(nameStaleSet(g, h.PrunedStale), left)
				if err != nil {
					return err
				}
				for _, n := range names {
					if err := t.delete(n); err != nil {
						return err
					}
				}
				if len(names) == left {
					left = 0
					break
				}
				left -= max(len(names), 1)
				h.PrunedStale++
			}
			more = h.PrunedStale < h.OldestStale
			return t.putHead(h)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
