package manager

import (
	"context"
	"math"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/secret"
)

// sendRekeying sends the newest version to a member. done says that nothing more
// is owed for that version.
func (s *Service) sendRekeying(ctx context.Context, j *job, attempts int) (done bool, version uint64) {
	ref, msg, owed, err := s.owedMessage(j.memberKey)
	if err != nil {
		s.log.WarnContext(ctx, "cannot make a rekeying message", "error", err)
		return false, math.MaxUint64
	}
	if !owed {
		return true, msg.version
	}
	s.progress.advance(j.memberKey, msg.version, StageWaiting, 1)
	start := s.clock.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout(attempts))
	defer cancel()
	stage, err := s.opt.Delivery.Rekey(ctx, ref, msg.payload())
	s.meter.Delivered(ref.Group, stage, s.clock.Now().Sub(start))
	if err != nil {
		s.log.InfoContext(ctx, "a rekeying message is not confirmed", "group", ref.Group, "node", ref.Node, "version", msg.version, "stage", stage, "error", err)
	}
	if stage != StageConfirmed {
		s.progress.advance(j.memberKey, msg.version, stage, 0)
		return false, msg.version
	}
	s.confirm(j.memberKey, msg.version)
	return true, msg.version
}

// owedMessage looks at what a member is owed now.
func (s *Service) owedMessage(k memberKey) (ref MemberRef, msg cachedMessage, owed bool, err error) {
	msg.version = math.MaxUint64 // whatever was owed: the group or the member is gone
	err = s.view(func(r reader) error {
		h, err := r.head(k.group)
		if err != nil {
			return ignoreNotFound(err)
		}
		m, err := load[member](r, nameMember(k.group, k.member))
		if err != nil {
			return ignoreNotFound(err)
		}
		msg.version = h.Version
		if m.has(h.Version) || m.Given == h.Version+1 || s.progress.hasFetched(k, h.Version) || h.State == GroupDeleting {
			return nil
		}
		c, err := r.counters()
		if err != nil {
			return err
		}
		cl, err := load[client](r, nameClient(m.Client))
		if err != nil {
			return err
		}
		a := cl.liveAssoc(c.AssocFloor)
		if a == 0 || m.ControlURI == "" {
			return nil
		}
		owed = true
		ref = MemberRef{Group: h.Name, Node: nodeName(m.Number), Association: a, ControlURI: m.ControlURI}
		msg, err = s.message(r, h)
		return err
	})
	return ref, msg, owed && s.opt.Delivery != nil, err
}

// message makes the rekeying message of a group's current version, or takes it
// from the cache.
func (s *Service) message(r reader, h *head) (cachedMessage, error) {
	now := s.clock.Now()
	s.delivery.mu.Lock()
	c, ok := s.delivery.cache[h.Number]
	s.delivery.mu.Unlock()
	if ok && c.version == h.Version && now.Sub(c.made) < messageAge {
		return c, nil
	}
	var joiners groupcomm.Peers
	if h.LastCause == CauseJoin {
		err := r.members(h.Number, func(m *member) error {
			if m.Given == h.Version+1 && m.Credential != nil {
				joiners = append(joiners, m.peer())
			}
			return nil
		})
		if err != nil {
			return c, err
		}
	}
	m, err := r.rekeyMessage(h, joiners, now)
	if err != nil {
		return c, err
	}
	payload := secret.Bytes(m.Marshal())
	c = cachedMessage{version: h.Version, made: now, payload: func() secret.Bytes { return payload }}
	s.delivery.mu.Lock()
	defer s.delivery.mu.Unlock()
	if s.delivery.cache == nil {
		s.delivery.cache = map[uint64]cachedMessage{}
	}
	s.delivery.cache[h.Number] = c
	return c, nil
}
