package httpapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/manager"
)

// GroupSettings are what of a group's configuration is given when it is created
// and can be changed later. What is absent has its default, or stays.
//
// A change of an algorithm or of the credential format rekeys the group, and evicts
// members whose credentials or Sender IDs do not fit.
type GroupSettings struct {
	HKDF             algorithm        `json:"hkdf,omitzero"`
	CredentialFormat credentialFormat `json:"credential_format,omitzero"`
	GroupEncryption  algorithm        `json:"group_encryption,omitzero"`
	Signature        algorithm        `json:"signature,omitzero"`
	AEAD             algorithm        `json:"aead,omitzero"`
	KeyAgreement     algorithm        `json:"key_agreement,omitzero"`

	KeyLifetime      duration  `json:"key_lifetime,omitzero"`      // of one version of the keying material
	RekeyMargin      duration  `json:"rekey_margin,omitzero"`      // before its end it is replaced
	RekeyJitter      *duration `json:"rekey_jitter,omitempty"`     // and up to this much earlier
	CheckInterval    duration  `json:"check_interval,omitzero"`    // how often members ask for a newer version
	ExpirationDelta  *duration `json:"expiration_delta,omitempty"` // how long they still decrypt with expired material
	MaxStaleSets     int       `json:"max_stale_sets,omitempty"`   // how many rekeyings less one a member may miss without starting anew
	MaxMembers       int       `json:"max_members,omitempty"`
	BackwardSecurity *bool     `json:"backward_security,omitempty"` // each join rekeys

	// How long a rekeying may wait for further causes of its kind; 0s: not at all.
	LeaveWindow    *duration `json:"leave_window,omitempty"`
	EvictionWindow *duration `json:"eviction_window,omitempty"`
	ExpiryWindow   *duration `json:"expiry_window,omitempty"`
}

// edit puts what is given into a configuration.
func (s GroupSettings) edit(c *manager.GroupConfig) {
	for _, a := range []struct {
		to   *cose.Algorithm
		from algorithm
	}{{&c.HKDF, s.HKDF}, {&c.GroupEnc, s.GroupEncryption}, {&c.Signature, s.Signature}, {&c.AEAD, s.AEAD}, {&c.KeyAgreement, s.KeyAgreement}} {
		if a.from != 0 {
			*a.to = cose.Algorithm(a.from)
		}
	}
	if s.CredentialFormat != 0 {
		c.CredentialFormat = cose.CredentialFormat(s.CredentialFormat)
	}
	for _, d := range []struct {
		to   *time.Duration
		from duration
	}{{&c.KeyLifetime, s.KeyLifetime}, {&c.Schedule.Margin, s.RekeyMargin}, {&c.CheckInterval, s.CheckInterval}} {
		if d.from != 0 {
			*d.to = time.Duration(d.from)
		}
	}
	for _, d := range []struct {
		to   *time.Duration
		from *duration
	}{{&c.ExpirationDelta, s.ExpirationDelta}, {&c.Windows.Leave, s.LeaveWindow}, {&c.Windows.Eviction, s.EvictionWindow},
		{&c.Windows.Expiry, s.ExpiryWindow}, {&c.Schedule.Jitter, s.RekeyJitter}} {
		if d.from != nil {
			*d.to = time.Duration(*d.from)
		}
	}
	if s.RekeyJitter != nil && *s.RekeyJitter == 0 {
		c.Schedule.Jitter = manager.NoJitter
	}
	if s.MaxStaleSets != 0 {
		c.MaxStaleSets = s.MaxStaleSets
	}
	if s.MaxMembers != 0 {
		c.MaxMembers = s.MaxMembers
	}
	if s.BackwardSecurity != nil {
		c.BackwardSecurity = *s.BackwardSecurity
	}
}

// settingsOf shows a configuration: everything is given.
func settingsOf(c manager.GroupConfig) GroupSettings {
	of := func(d time.Duration) *duration { v := duration(max(d, 0)); return &v }
	return GroupSettings{
		HKDF: algorithm(c.HKDF), CredentialFormat: credentialFormat(c.CredentialFormat), GroupEncryption: algorithm(c.GroupEnc),
		Signature: algorithm(c.Signature), AEAD: algorithm(c.AEAD), KeyAgreement: algorithm(c.KeyAgreement),
		KeyLifetime: duration(c.KeyLifetime), RekeyMargin: duration(c.Schedule.Margin), RekeyJitter: of(c.Schedule.Jitter),
		CheckInterval: duration(c.CheckInterval), ExpirationDelta: of(c.ExpirationDelta), MaxStaleSets: c.MaxStaleSets,
		MaxMembers: c.MaxMembers, BackwardSecurity: &c.BackwardSecurity,
		LeaveWindow: of(c.Windows.Leave), EvictionWindow: of(c.Windows.Eviction), ExpiryWindow: of(c.Windows.Expiry),
	}
}

// Set gives a member its value by name, as text: an algorithm by its name or
// number in the registry of COSE, a credential format by its name, a duration as
// 90m, a number, true or false.
func (s *GroupSettings) Set(member, value string) (err error) {
	durations := map[string]*duration{"key_lifetime": &s.KeyLifetime, "rekey_margin": &s.RekeyMargin, "check_interval": &s.CheckInterval}
	optional := map[string]**duration{"rekey_jitter": &s.RekeyJitter, "expiration_delta": &s.ExpirationDelta,
		"leave_window": &s.LeaveWindow, "eviction_window": &s.EvictionWindow, "expiry_window": &s.ExpiryWindow}
	algorithms := map[string]*algorithm{"hkdf": &s.HKDF, "group_encryption": &s.GroupEncryption, "signature": &s.Signature,
		"aead": &s.AEAD, "key_agreement": &s.KeyAgreement}
	numbers := map[string]*int{"max_stale_sets": &s.MaxStaleSets, "max_members": &s.MaxMembers}
	text := []byte(value)
	if p := optional[member]; p != nil {
		*p = new(duration)
		return (*p).UnmarshalText(text)
	}
	switch {
	case durations[member] != nil:
		return durations[member].UnmarshalText(text)
	case algorithms[member] != nil:
		return algorithms[member].UnmarshalText(text)
	case numbers[member] != nil:
		if *numbers[member], err = strconv.Atoi(value); err != nil || *numbers[member] < 1 {
			return fmt.Errorf("%q is no number from 1", value)
		}
		return nil
	case member == "credential_format":
		return s.CredentialFormat.UnmarshalText(text)
	case member == "backward_security":
		v, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		s.BackwardSecurity = &v
		return nil
	}
	return fmt.Errorf("%q names no setting of a group", member)
}

// MarshalText gives the name.
func (f credentialFormat) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText takes a name or a number.
func (f *credentialFormat) UnmarshalText(text []byte) error {
	v := string(text)
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		*f = credentialFormat(n)
		return nil
	}
	for _, k := range []cose.CredentialFormat{cose.FormatCWT, cose.FormatCCS, cose.FormatC509Bag, cose.FormatC509Chain, cose.FormatX5Bag, cose.FormatX5Chain} {
		if strings.EqualFold(k.String(), v) {
			*f = credentialFormat(k)
			return nil
		}
	}
	return fmt.Errorf("%q is no credential format, as kccs or x5chain", v)
}

// String gives the name.
func (f credentialFormat) String() string { return cose.CredentialFormat(f).String() }
