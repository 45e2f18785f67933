package manager

import (
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

// Modes says which modes of Group OSCORE a group uses.
type Modes uint8

// The modes; the zero value is both (draft-ietf-ace-oscore-gm-admin-17, Section 5.2.1).
const (
	BothModes Modes = iota
	GroupModeOnly
	PairwiseOnly
)

// Signing reports whether members sign, so whether the group mode is used.
func (m Modes) Signing() bool { return m != PairwiseOnly }

// Pairwise reports whether the pairwise mode is used.
func (m Modes) Pairwise() bool { return m != GroupModeOnly }

// String gives the mode's name.
func (m Modes) String() string {
	switch m {
	case BothModes:
		return "group+pairwise"
	case GroupModeOnly:
		return "group"
	case PairwiseOnly:
		return "pairwise"
	}
	return fmt.Sprintf("modes(%d)", uint8(m))
}

// GroupConfig is the configuration of a group as far as its members see it. The zero
// value of each field stands for the default of
// draft-ietf-ace-key-groupcomm-oscore-21, Section 14; WithDefaults fills it in.
type GroupConfig struct {
	Modes            Modes                 `cbor:"1,keyasint,omitempty"`
	HKDF             cose.Algorithm        `cbor:"2,keyasint,omitempty"` // HMAC algorithm; default HMAC 256/256 (5)
	CredentialFormat cose.CredentialFormat `cbor:"3,keyasint,omitempty"` // default kccs (14)

	GroupEnc  cose.Algorithm `cbor:"4,keyasint,omitempty"` // group mode: gp_enc_alg, default AES-CCM-16-64-128
	Signature cose.Algorithm `cbor:"5,keyasint,omitempty"` // group mode: sign_alg, default EdDSA with Ed25519

	AEAD         cose.Algorithm `cbor:"6,keyasint,omitempty"` // pairwise mode: alg, default AES-CCM-16-64-128
	KeyAgreement cose.Algorithm `cbor:"7,keyasint,omitempty"` // pairwise mode: ecdh_alg, default ECDH-SS + HKDF of the HKDF's hash

	// MaxStaleSets is how many sets of stale Sender IDs are kept, so how many
	// rekeyings less one a member may miss without starting anew; default 3, at
	// least 2, at most 64.
	MaxStaleSets int `cbor:"8,keyasint,omitempty"`
	// KeyLifetime is how long one version of the keying material is used before
	// the schedule replaces it; default 24 h, at least 1 min.
	KeyLifetime time.Duration `cbor:"9,keyasint,omitempty"`
	// CheckInterval is the Key Update Check Interval told to members; default 3600 s.
	CheckInterval time.Duration `cbor:"10,keyasint,omitempty"`
	// ExpirationDelta is how long members still decrypt with expired material; default 0.
	ExpirationDelta time.Duration `cbor:"11,keyasint,omitempty"`
	// BackwardSecurity makes each join rekey the group first, so that a new
	// member cannot read what was sent before it joined. Default false.
	BackwardSecurity bool `cbor:"12,keyasint,omitempty"`
	// MaxMembers bounds the group; default 100 000.
	MaxMembers int `cbor:"13,keyasint,omitempty"`
	// GidReuse keeps Gids of one size by giving them out again, GidEpochs (default
	// 256, at least 2) in turn; members that joined under the Gid whose turn it is
	// are evicted and may join again
	// (draft-ietf-ace-key-groupcomm-oscore-21, Section 11). Default false.
	GidReuse  bool `cbor:"14,keyasint,omitempty"`
	GidEpochs int  `cbor:"15,keyasint,omitempty"`

	// Windows make removals of members wait for one another before a rekeying.
	// Default: each removal rekeys at once.
	Windows Windows `cbor:"16,keyasint,omitempty"`
	// Schedule says when before its end the keying material is replaced.
	Schedule Schedule `cbor:"17,keyasint,omitempty"`
}

// Defaults that the texts leave to the Group Manager, and bounds of this implementation.
const (
	defaultMaxStaleSets  = 3              // draft-ietf-ace-key-groupcomm-oscore-21, Section 14
	defaultKeyLifetime   = 24 * time.Hour // ours: a schedule that is felt but does not hurt
	defaultCheckInterval = time.Hour      // draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3
	defaultMaxMembers    = 100_000        // ours: what the start-up goal is measured with
	maxStaleSetsLimit    = 64             // ours: keeps the union for one answer bounded
	minKeyLifetime       = time.Minute    // ours: shorter lifetimes would rekey without end
	maxKeyLifetime       = 10 * 365 * 24 * time.Hour
)

// WithDefaults fills every zero field.
func (c GroupConfig) WithDefaults() GroupConfig {
	def := func(p *cose.Algorithm, v cose.Algorithm) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.HKDF, cose.AlgHMAC256)
	if c.CredentialFormat == 0 {
		c.CredentialFormat = cose.FormatCCS
	}
	if c.Modes.Signing() {
		def(&c.GroupEnc, cose.AlgAESCCM16_64_128)
		def(&c.Signature, cose.AlgEdDSA)
	}
	if c.Modes.Pairwise() {
		def(&c.AEAD, cose.AlgAESCCM16_64_128)
		if c.HKDF == cose.AlgHMAC512 {
			def(&c.KeyAgreement, cose.AlgECDHSSHKDF512)
		} else {
			def(&c.KeyAgreement, cose.AlgECDHSSHKDF256)
		}
	}
	if c.MaxStaleSets == 0 {
		c.MaxStaleSets = defaultMaxStaleSets
	}
	if c.KeyLifetime == 0 {
		c.KeyLifetime = defaultKeyLifetime
	}
	if c.CheckInterval == 0 {
		c.CheckInterval = defaultCheckInterval
	}
	if c.MaxMembers == 0 {
		c.MaxMembers = defaultMaxMembers
	}
	c.Schedule = c.Schedule.withDefaults(c.KeyLifetime)
	if c.GidReuse && c.GidEpochs == 0 {
		c.GidEpochs = gidEpochs
	}
	return c
}

// Validate checks a configuration with its defaults filled in and returns all
// faults joined, each of kind KindConfiguration.
func (c GroupConfig) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, refuse(KindConfiguration, format, args...))
	}
	if c.Modes > PairwiseOnly {
		bad("unknown modes %d", c.Modes)
	}
	if !c.HKDF.IsHMAC() {
		bad("hkdf %v is not an HMAC algorithm", c.HKDF)
	}
	if c.GidReuse && (c.GidEpochs < 2 || c.GidEpochs > gidEpochs) || !c.GidReuse && c.GidEpochs != 0 {
		bad("Gids that are given out again are 2 to %d", gidEpochs)
	}
	switch {
	case !c.CredentialFormat.Known():
		bad("credential format %d is not supported, only kccs, kcwt, x5chain, x5bag, c5c and c5b", c.CredentialFormat)
	case c.CredentialFormat != cose.FormatCCS && !c.Modes.Signing():
		bad("a %v of the Group Manager must be signed, so groups without signatures use kccs", c.CredentialFormat)
	case (c.CredentialFormat == cose.FormatX5Chain || c.CredentialFormat == cose.FormatX5Bag) && c.Signature == cose.AlgEd448:
		bad("X.509 certificates with Ed448 are not made here, use kccs, kcwt, c5c or c5b")
	}
	if c.Modes.Signing() {
		if _, ok := c.GroupEnc.Cipher(); !ok {
			bad("group encryption algorithm %v is not supported", c.GroupEnc)
		}
		if _, ok := signatureCurve(c.Signature); !ok {
			bad("signature algorithm %v is not supported", c.Signature)
		}
	} else if c.GroupEnc != 0 || c.Signature != 0 {
		bad("a pairwise-only group has neither a group encryption nor a signature algorithm")
	}
	if c.Modes.Pairwise() {
		if _, ok := c.AEAD.AEAD(); !ok {
			bad("AEAD algorithm %v is not supported", c.AEAD)
		}
		if !c.KeyAgreement.IsKeyAgreement() {
			bad("key agreement algorithm %v is not supported", c.KeyAgreement)
		}
	} else if c.AEAD != 0 || c.KeyAgreement != 0 {
		bad("a signature-only group has neither an AEAD nor a key agreement algorithm")
	}
	if c.MaxStaleSets < 2 || c.MaxStaleSets > maxStaleSetsLimit {
		bad("max_stale_sets must be 2 to %d", maxStaleSetsLimit)
	}
	if c.KeyLifetime < minKeyLifetime || c.KeyLifetime > maxKeyLifetime {
		bad("key lifetime must be %v to %v", minKeyLifetime, maxKeyLifetime)
	}
	if c.CheckInterval < time.Second || c.ExpirationDelta < 0 {
		bad("the key update check interval must be at least 1 s, the expiration delta not negative")
	}
	if c.MaxMembers < 1 {
		bad("the bound of members must be at least 1")
	}
	c.Windows.check(bad)
	c.Schedule.check(c.KeyLifetime, bad)
	if len(faults) == 0 {
		if c.maxSenderIDSize() < 1 {
			bad("the algorithms' nonces are too short for any Sender ID")
		}
	}
	return errors.Join(faults...)
}

// signatureCurve gives the curve of a signature algorithm's default parameters
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 14).
func signatureCurve(a cose.Algorithm) (cose.Curve, bool) {
	switch a {
	case cose.AlgEdDSA, cose.AlgEd25519:
		return cose.CurveEd25519, true
	case cose.AlgEd448:
		return cose.CurveEd448, true
	case cose.AlgES256, cose.AlgESP256:
		return cose.CurveP256, true
	case cose.AlgES384, cose.AlgESP384:
		return cose.CurveP384, true
	case cose.AlgES512, cose.AlgESP512:
		return cose.CurveP521, true
	}
	return 0, false
}

// keyCurve is the curve of the members' credentials, so also of the Group
// Manager's: that of the signatures, or X25519 in a pairwise-only group.
func (c GroupConfig) keyCurve() cose.Curve {
	if c.Modes.Signing() {
		crv, _ := signatureCurve(c.Signature)
		return crv
	}
	return cose.CurveX25519
}

// agreementCurve is the curve on which the pairwise mode agrees on keys:
// X25519 for Ed25519 and in pairwise-only groups, X448 for Ed448, else the curve of
// the signatures.
func (c GroupConfig) agreementCurve() cose.Curve {
	switch crv := c.keyCurve(); crv {
	case cose.CurveEd25519:
		return cose.CurveX25519
	case cose.CurveEd448:
		return cose.CurveX448
	default:
		return crv
	}
}

// maxSenderIDSize is the bound of the size of Sender IDs in bytes: the shortest
// nonce of the algorithms in use less 6, and at most 7
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3; RFC 8613, Section 3.3).
func (c GroupConfig) maxSenderIDSize() int {
	size := 13
	if c.Modes.Signing() {
		if p, ok := c.GroupEnc.Cipher(); ok {
			size = min(size, p.NonceSize)
		}
	}
	if c.Modes.Pairwise() {
		if p, ok := c.AEAD.AEAD(); ok {
			size = min(size, p.NonceSize)
		}
	}
	return size - 6
}

// senderIDs is how many Sender IDs exist in the group.
func (c GroupConfig) senderIDs() uint64 { return 1 << (8 * c.maxSenderIDSize()) }
