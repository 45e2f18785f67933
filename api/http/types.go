package httpapi

import (
	"encoding/hex"
	"fmt"
	"time"

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
	// Audience is the Group Manager that the device is for; empty: the one of
	// this process's configuration.
	Audience string `json:"audience,omitempty"`
}

// Device is what an operator sees of a device.
type Device struct {
	Name     string            `json:"name"`
	Groups   map[string]string `json:"groups"`
	For      string            `json:"audience"` // Group Manager that it is for
	Enrolled time.Time         `json:"enrolled"`
	Revoked  bool              `json:"revoked"`
	Alarms   uint64            `json:"alarms"` // times its secret was seen in use twice
}

// Revoked is the answer to the revocation of a device.
type Revoked struct {
	Groups int `json:"groups"` // that it was put out of
	// Elsewhere says that the device's Group Manager is another process, which
	// puts it out when it is notified of the revoked tokens.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Reenrolment is the request to give a device a new secret.
type Reenrolment struct {
	// KeepTokens lets the device's tokens live, and so its memberships: for a
	// secret that is replaced as a matter of routine and was not copied.
	KeepTokens bool `json:"keep_tokens,omitempty"`
}

// Enrolled is the answer to an enrolment. Enrolment is the content of the
// device's enrolment file, secret included; it cannot be read again.
type Enrolled struct {
	Device    Device        `json:"device"`
	Enrolment EnrolmentFile `json:"enrolment"`
	// Missing are the groups that the device may join and that are not there.
	Missing []string `json:"missing,omitempty"`
}

// Health says whether the Group Manager works, and since when.
type Health struct {
	Ready   bool              `json:"ready"`
	Version string            `json:"version"`
	Started time.Time         `json:"started"`
	Checks  map[string]string `json:"checks"` // name of a part to "ok", or to what is wrong
}
