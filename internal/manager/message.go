package manager

import (
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// rekeyMessage makes the message that brings members from the version before to
// the current one: new Master Secret and Gid, and the Sender IDs given up under
// the version before (draft-ietf-ace-key-groupcomm-oscore-21, Section 11.1).
// joiners are those whose joining caused it. Once the key of the Group Manager was
// rotated, its credential is told too: nothing else would make a member fetch it
// before it fails to verify what others send.
func (r reader) rekeyMessage(h *head, joiners groupcomm.Peers, now time.Time) (*groupcomm.RekeyMessage, error) {
	m := &groupcomm.RekeyMessage{
		MasterSecret: h.Secret.Clone(), Gid: append([]byte(nil), h.Gid...), Version: h.Version, Expiry: h.expiry(now), Peers: joiners,
	}
	if len(h.Salt) > 0 {
		m.MasterSalt = h.Salt.Clone()
	}
	if h.Configured > 0 && h.Configured == h.Version {
		c := h.configuration()
		m.Config = &c
	}
	if h.KeyGeneration > 0 || h.Configured > 0 {
		k, err := load[managerKey](r, nameManagerKey(h.slot()))
		if err != nil {
			return nil, err
		}
		m.KDCCredential = k.Credential
	}
	if h.Version == 0 || h.Version-1 < h.OldestStale {
		return m, nil
	}
	stale, err := r.staleSet(h.Number, h.Version-1)
	m.StaleIDs = stale
	return m, err
}
