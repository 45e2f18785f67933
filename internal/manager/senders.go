package manager

import (
	"errors"

	"github.com/cohort-iot/cohort/keystore"
)

// maxSenderProbes bounds the search for a free Sender ID in a space that is
// larger than it; in the small spaces of short nonces (256) every value is tried.
const maxSenderProbes = 256

// takeSender gives the member m a Sender ID that no member had under the
// group's current Gid: not held now, and not given up under the current version,
// which stands for exactly one Gid
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3; draft-ietf-core-oscore-groupcomm-28, Section 12.2.1.2).
//
// The search goes round the space from where it ended last, so that a Sender ID
// comes back as late as possible, and never while it could be confused.
func (t *txn) takeSender(h *head, m *member) error {
	space := h.Config.senderIDs()
	for range min(space, maxSenderProbes) {
		s := h.NextSender % space
		h.NextSender = s + 1
		free, err := t.senderFree(h, s)
		if err != nil {
			return err
		}
		if free {
			m.HasSender, m.Sender = true, s
			return t.put(nameSender(h.Number, s), m.Number)
		}
	}
	return refuse(KindNoIndividualKey, "no Sender ID is free before the next rekeying")
}

func (t *txn) senderFree(h *head, s uint64) (bool, error) {
	for _, n := range []keystore.Name{nameSender(h.Number, s), nameStale(h.Number, h.Version, s)} {
		switch _, err := t.Get(n); {
		case err == nil:
			return false, nil
		case !errors.Is(err, keystore.ErrNotFound):
			return false, err
		}
	}
	return true, nil
}

// giveUpSender takes the Sender ID from m and puts it into the set of stale
// Sender IDs of the current version
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 7.1).
func (t *txn) giveUpSender(h *head, m *member) error {
	if !m.HasSender {
		return nil
	}
	if err := t.delete(nameSender(h.Number, m.Sender)); err != nil {
		return err
	}
	if err := t.put(nameStale(h.Number, h.Version, m.Sender), m.Sender); err != nil {
		return err
	}
	m.HasSender, m.Sender = false, 0
	return nil
}
