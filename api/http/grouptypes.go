package httpapi

import (
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/manager"
)

// GroupSpec is the request to create a group. What is absent has its default
// (draft-ietf-ace-key-groupcomm-oscore, Section 14).
type GroupSpec struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Inactive    bool   `json:"inactive,omitempty"` // nobody can join until it is activated

	// What cannot be changed later.
	Modes     string `json:"modes,omitempty"`      // group+pairwise (default), group or pairwise
	GidReuse  bool   `json:"gid_reuse,omitempty"`  // give Gids out again, so that they keep their size
	GidEpochs int    `json:"gid_epochs,omitempty"` // after how many others; 2 to 256, default 256

	GroupSettings
}

// GroupUpdate is the request to change a group. What is absent stays.
type GroupUpdate struct {
	// Revision, if given, is that of the group which the change was made from; at
	// any other one the change is refused.
	Revision    uint64  `json:"revision,omitempty"`
	Active      *bool   `json:"active,omitempty"`
	Description *string `json:"description,omitempty"`

	GroupSettings
}

func parseModes(v string) (manager.Modes, error) {
	if v == "" {
		return manager.BothModes, nil
	}
	for _, m := range []manager.Modes{manager.BothModes, manager.GroupModeOnly, manager.PairwiseOnly} {
		if m.String() == v {
			return m, nil
		}
	}
	return 0, problem(422, "configuration", fmt.Sprintf("modes %q is not known", v), "give group+pairwise, group or pairwise")
}

func (s GroupSpec) domain() (manager.GroupSpec, error) {
	modes, err := parseModes(s.Modes)
	if err != nil {
		return manager.GroupSpec{}, err
	}
	d := manager.GroupSpec{
		Name: s.Name, Description: s.Description, Active: !s.Inactive,
		Config: manager.GroupConfig{Modes: modes, GidReuse: s.GidReuse, GidEpochs: s.GidEpochs},
	}
	s.edit(&d.Config)
	return d, nil
}

func (u GroupUpdate) domain() manager.GroupChange {
	return manager.GroupChange{Revision: u.Revision, Active: u.Active, Description: u.Description, Edit: u.edit}
}

// Group is what an operator sees of a group.
type Group struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	State       string `json:"state"`
	Revision    uint64 `json:"revision"` // of configuration and state
	Members     uint64 `json:"members"`
	Changing    bool   `json:"changing,omitempty"` // a change of algorithms is under way

	Modes     string `json:"modes"`
	GidReuse  bool   `json:"gid_reuse"`
	GidEpochs int    `json:"gid_epochs,omitempty"`
	GroupSettings
	Identity string `json:"identity"` // of the Group Manager in this group

	Created time.Time `json:"created"`
	Keys
}

// Keys is what an operator sees of a group's keying material: never the material.
type Keys struct {
	Version   uint64    `json:"version"`
	Gid       hexBytes  `json:"gid"`
	Installed time.Time `json:"installed"`
	Expires   time.Time `json:"expires"`
	Cause     string    `json:"cause"`           // why this version was made
	Scheduled time.Time `json:"scheduled"`       // when the next one is made at the latest
	Due       string    `json:"due,omitempty"`   // why the next one is owed
	DueBy     time.Time `json:"due_by,omitzero"` // and by when
}

func keysOf(g manager.GroupInfo) Keys {
	k := Keys{Version: g.Version, Gid: g.Gid, Installed: g.Installed, Expires: g.Expires, Cause: g.LastCause.String(), Scheduled: g.ScheduledAt}
	if g.Due != manager.CauseNone {
		k.Due, k.DueBy = g.Due.String(), g.DueAt
	}
	return k
}

func groupOf(g manager.GroupInfo) Group {
	c := g.Config
	return Group{
		Name: g.Name, Description: g.Description, State: g.State.String(), Revision: g.Revision, Members: g.Members, Changing: g.Changing,
		Modes: c.Modes.String(), GidReuse: c.GidReuse, GidEpochs: c.GidEpochs, GroupSettings: settingsOf(c), Identity: g.Identity,
		Created: g.Created, Keys: keysOf(g),
	}
}

// Invalidation is the answer to the invalidation of old keying material.
type Invalidation struct {
	Evicted int    `json:"evicted"` // members that had not shown to hold the newest material
	Version uint64 `json:"version"` // of the group now
}

// credentialFormat is a credential format on the wire: its name, or the COSE
// header label that stands for it. Both are accepted.
type credentialFormat cose.CredentialFormat
