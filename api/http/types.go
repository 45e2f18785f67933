package httpapi

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/manager"
)

// hexBytes are bytes on the wire in hexadecimal.
type hexBytes []byte

// MarshalText gives the digits.
func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

// UnmarshalText takes digits.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// String gives the digits.
func (b hexBytes) String() string { return hex.EncodeToString(b) }

// duration is a time.Duration on the wire in the notation of time.ParseDuration.
type duration time.Duration

// MarshalText gives the notation of time.Duration.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText takes what time.ParseDuration takes.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration, as 90m or 24h", text)
	}
	*d = duration(v)
	return nil
}

// String gives the notation of time.Duration.
func (d duration) String() string { return time.Duration(d).String() }

// GroupSpec is the request to create a group. What is absent has its default
// (draft-ietf-ace-key-groupcomm-oscore, Section 14).
type GroupSpec struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Inactive    bool   `json:"inactive,omitempty"` // nobody can join until it is activated

	Modes            string    `json:"modes,omitempty"` // group+pairwise (default), group or pairwise
	HKDF             algorithm `json:"hkdf,omitzero"`
	GroupEncryption  algorithm `json:"group_encryption,omitzero"`
	Signature        algorithm `json:"signature,omitzero"`
	AEAD             algorithm `json:"aead,omitzero"`
	KeyAgreement     algorithm `json:"key_agreement,omitzero"`
	KeyLifetime      duration  `json:"key_lifetime,omitzero"`
	CheckInterval    duration  `json:"check_interval,omitzero"`
	ExpirationDelta  duration  `json:"expiration_delta,omitzero"`
	MaxStaleSets     int       `json:"max_stale_sets,omitempty"`
	MaxMembers       int       `json:"max_members,omitempty"`
	BackwardSecurity bool      `json:"backward_security,omitempty"`
}

// SetAlgorithm sets one of the members hkdf, group_encryption, signature, aead
// and key_agreement by the name or number of an algorithm.
func (s *GroupSpec) SetAlgorithm(member, value string) error {
	for name, a := range map[string]*algorithm{"hkdf": &s.HKDF, "group_encryption": &s.GroupEncryption, "signature": &s.Signature,
		"aead": &s.AEAD, "key_agreement": &s.KeyAgreement} {
		if name == member {
			return a.UnmarshalText([]byte(value))
		}
	}
	return fmt.Errorf("%q names no algorithm of a group", member)
}

// SetKeyLifetime sets how long one version of the keying material is used.
func (s *GroupSpec) SetKeyLifetime(d time.Duration) { s.KeyLifetime = duration(d) }

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
	return manager.GroupSpec{
		Name: s.Name, Description: s.Description, Active: !s.Inactive,
		Config: manager.GroupConfig{
			Modes: modes, HKDF: cose.Algorithm(s.HKDF), GroupEnc: cose.Algorithm(s.GroupEncryption), Signature: cose.Algorithm(s.Signature),
			AEAD: cose.Algorithm(s.AEAD), KeyAgreement: cose.Algorithm(s.KeyAgreement), MaxStaleSets: s.MaxStaleSets,
			KeyLifetime: time.Duration(s.KeyLifetime), CheckInterval: time.Duration(s.CheckInterval),
			ExpirationDelta: time.Duration(s.ExpirationDelta), BackwardSecurity: s.BackwardSecurity, MaxMembers: s.MaxMembers,
		},
	}, nil
}

// Group is what an operator sees of a group.
type Group struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	State       string `json:"state"`
	Revision    uint64 `json:"revision"` // of configuration and state
	Members     uint64 `json:"members"`

	Modes            string    `json:"modes"`
	HKDF             algorithm `json:"hkdf,omitzero"`
	GroupEncryption  algorithm `json:"group_encryption,omitzero"`
	Signature        algorithm `json:"signature,omitzero"`
	AEAD             algorithm `json:"aead,omitzero"`
	KeyAgreement     algorithm `json:"key_agreement,omitzero"`
	KeyLifetime      duration  `json:"key_lifetime"`
	CheckInterval    duration  `json:"check_interval"`
	ExpirationDelta  duration  `json:"expiration_delta"`
	MaxStaleSets     int       `json:"max_stale_sets"`
	MaxMembers       int       `json:"max_members"`
	BackwardSecurity bool      `json:"backward_security"`

	Created time.Time `json:"created"`
	Keys
}

// Keys is what an operator sees of a group's keying material: never the material.
type Keys struct {
	Version   uint64    `json:"version"`
	Gid       hexBytes  `json:"gid"`
	Installed time.Time `json:"installed"`
	Expires   time.Time `json:"expires"`
	Cause     string    `json:"cause"`         // why this version was made
	Due       string    `json:"due,omitempty"` // why the next one is owed
}

func keysOf(g manager.GroupInfo) Keys {
	k := Keys{Version: g.Version, Gid: g.Gid, Installed: g.Installed, Expires: g.Expires, Cause: g.LastCause.String()}
	if g.Due != manager.CauseNone {
		k.Due = g.Due.String()
	}
	return k
}

func groupOf(g manager.GroupInfo) Group {
	c := g.Config
	return Group{
		Name: g.Name, Description: g.Description, State: g.State.String(), Revision: g.Revision, Members: g.Members,
		Modes: c.Modes.String(), HKDF: algorithm(c.HKDF), GroupEncryption: algorithm(c.GroupEnc), Signature: algorithm(c.Signature),
		AEAD: algorithm(c.AEAD), KeyAgreement: algorithm(c.KeyAgreement), KeyLifetime: duration(c.KeyLifetime),
		CheckInterval: duration(c.CheckInterval), ExpirationDelta: duration(c.ExpirationDelta), MaxStaleSets: c.MaxStaleSets,
		MaxMembers: c.MaxMembers, BackwardSecurity: c.BackwardSecurity, Created: g.Created, Keys: keysOf(g),
	}
}

// GroupUpdate is the request to change a group. What is absent stays.
type GroupUpdate struct {
	Active *bool `json:"active,omitempty"`
}

// Version is the answer to what rekeys a group.
type Version struct {
	Version uint64 `json:"version"`
}

// Member is what an operator sees of a membership.
type Member struct {
	Node       string    `json:"node"`
	Client     string    `json:"client"` // the device as the Authorization Server names it
	Roles      string    `json:"roles"`
	SenderID   hexBytes  `json:"sender_id,omitempty"` // absent for monitors
	Credential hexBytes  `json:"credential,omitempty"`
	ControlURI string    `json:"control_uri,omitempty"`
	Joined     time.Time `json:"joined"`
	Stage      string    `json:"stage"`     // how far the newest keying material came
	Confirmed  bool      `json:"confirmed"` // has shown to hold it
}

func memberOf(m manager.MemberInfo) Member {
	return Member{Node: m.Node, Client: m.Client, Roles: m.Roles.String(), SenderID: m.SenderID, Credential: m.Credential,
		ControlURI: m.ControlURI, Joined: m.Joined, Stage: m.Stage.String(), Confirmed: m.Confirmed}
}

// Pending is a member that has not shown to hold the newest keying material.
type Pending struct {
	Node      string `json:"node"`
	Client    string `json:"client"`
	Stage     string `json:"stage"`
	Attempts  int    `json:"attempts"`
	Reachable bool   `json:"reachable"` // the Group Manager can send to it; else it must fetch
}

func pendingOf(p manager.PendingMember) Pending {
	return Pending{Node: p.Node, Client: p.Client, Stage: p.Stage.String(), Attempts: p.Attempts, Reachable: p.Reachable}
}

// DeviceSpec is the request to enrol a device.
type DeviceSpec struct {
	Name   string            `json:"name"`
	Groups map[string]string `json:"groups"` // group name to roles, as "requester+responder"
}

// Device is what an operator sees of a device.
type Device struct {
	Name     string            `json:"name"`
	Groups   map[string]string `json:"groups"`
	Enrolled time.Time         `json:"enrolled"`
	Revoked  bool              `json:"revoked"`
	Alarms   uint64            `json:"alarms"` // times its secret was seen in use twice
}

// Revoked is the answer to the revocation of a device.
type Revoked struct {
	Groups int `json:"groups"` // that it was put out of
}

// Enrolled is the answer to an enrolment. Enrolment is the content of the
// device's enrolment file, secret included; it cannot be read again.
type Enrolled struct {
	Device    Device        `json:"device"`
	Enrolment EnrolmentFile `json:"enrolment"`
}

// Health says whether the Group Manager works, and since when.
type Health struct {
	Ready   bool              `json:"ready"`
	Version string            `json:"version"`
	Started time.Time         `json:"started"`
	Checks  map[string]string `json:"checks"` // name of a part to "ok", or to what is wrong
}
