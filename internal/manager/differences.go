package manager

import (
	"fmt"

	"github.com/cohort-iot/cohort/cose"
)

// algorithmSet is what of a configuration all members must agree on to read each
// other: a change of it takes new keying material.
type algorithmSet struct {
	HKDF, GroupEnc, Signature, AEAD, KeyAgreement cose.Algorithm
	CredentialFormat                              cose.CredentialFormat
}

func (c GroupConfig) algorithmsOf() algorithmSet {
	return algorithmSet{c.HKDF, c.GroupEnc, c.Signature, c.AEAD, c.KeyAgreement, c.CredentialFormat}
}

// String lists the algorithms, for audit records.
func (a algorithmSet) String() string {
	return fmt.Sprintf("hkdf %v, gp_enc_alg %v, sign_alg %v, alg %v, ecdh_alg %v, cred_fmt %d",
		a.HKDF, a.GroupEnc, a.Signature, a.AEAD, a.KeyAgreement, a.CredentialFormat)
}

// differences lists what a change of the configuration changes, for audit
// records: each field by name, from what and to what.
func differences(from, to GroupConfig) []string {
	var out []string
	note := func(name string, a, b any) {
		if a != b {
			out = append(out, fmt.Sprintf("%s %v to %v", name, a, b))
		}
	}
	note("hkdf", from.HKDF, to.HKDF)
	note("credential format", int(from.CredentialFormat), int(to.CredentialFormat))
	note("group encryption", from.GroupEnc, to.GroupEnc)
	note("signature", from.Signature, to.Signature)
	note("aead", from.AEAD, to.AEAD)
	note("key agreement", from.KeyAgreement, to.KeyAgreement)
	note("stale sets", from.MaxStaleSets, to.MaxStaleSets)
	note("key lifetime", from.KeyLifetime, to.KeyLifetime)
	note("check interval", from.CheckInterval, to.CheckInterval)
	note("expiration delta", from.ExpirationDelta, to.ExpirationDelta)
	note("backward security", from.BackwardSecurity, to.BackwardSecurity)
	note("members", from.MaxMembers, to.MaxMembers)
	note("leave window", from.Windows.Leave, to.Windows.Leave)
	note("eviction window", from.Windows.Eviction, to.Windows.Eviction)
	note("expiry window", from.Windows.Expiry, to.Windows.Expiry)
	note("rekey margin", from.Schedule.Margin, to.Schedule.Margin)
	note("rekey jitter", from.Schedule.Jitter, to.Schedule.Jitter)
	return out
}
