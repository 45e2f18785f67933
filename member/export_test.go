package member

import (
	"context"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// TakeRekey hands the group a rekeying message as if it had come to the control
// resource.
func (g *Group) TakeRekey(ctx context.Context, m *groupcomm.RekeyMessage) error {
	return g.rekey(ctx, m)
}

// RekeyMessage makes the message of a version, under the keys of another one.
func (g *Group) RekeyMessage(version uint64, gid, secret []byte, stale ...[]byte) *groupcomm.RekeyMessage {
	return &groupcomm.RekeyMessage{
		MasterSecret: secret, Gid: gid, Version: version, Expiry: groupcomm.Expiry{In: 3600}, StaleIDs: append([][]byte{}, stale...),
	}
}

// SequenceName is where the group's sequence numbers are stored now.
func (g *Group) SequenceName() string {
	return sequenceName(g.number, g.record().Epoch.Serial).String()
}
