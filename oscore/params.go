package oscore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/replay"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Defaults of RFC 8613, Section 3.2.
const (
	DefaultAEAD         = cose.AlgAESCCM16_64_128
	DefaultHKDF         = cose.AlgHMAC256
	DefaultReplayWindow = replay.DefaultSize
)

// Params are the inputs of a Security Context (RFC 8613, Section 3.2). Both
// endpoints have the same, with Sender ID and Recipient ID exchanged; only the
// replay window is each one's own affair.
//
// The quartet of Master Secret, Master Salt, ID Context and Sender ID must be
// unique over all contexts that ever exist (Section 3.3).
type Params struct {
	// MasterSecret is required. It must come from a cryptographic random
	// source or a key exchange.
	MasterSecret secret.Bytes
	// MasterSalt is optional; nil and empty mean the same.
	MasterSalt secret.Bytes
	// SenderID and RecipientID are required, but may be empty: nil is absent.
	// They must differ and have at most MaxIDSize bytes, seven by default.
	SenderID, RecipientID []byte
	// IDContext is optional; nil is absent, and differs from empty.
	IDContext []byte
	// AEAD is the AEAD algorithm; 0 means DefaultAEAD.
	AEAD cose.Algorithm
	// HKDF is the HMAC algorithm that names HKDF's hash; 0 means DefaultHKDF.
	HKDF cose.Algorithm
	// ReplayWindow is how many sequence numbers of the peer are remembered, 1
	// to 4096; 0 means DefaultReplayWindow.
	ReplayWindow int
}

// withDefaults fills in what is 0.
func (p Params) withDefaults() Params {
	if p.AEAD == 0 {
		p.AEAD = DefaultAEAD
	}
	if p.HKDF == 0 {
		p.HKDF = DefaultHKDF
	}
	if p.ReplayWindow == 0 {
		p.ReplayWindow = DefaultReplayWindow
	}
	return p
}

// Clone copies p and all it refers to.
func (p Params) Clone() Params {
	p.MasterSecret, p.MasterSalt = p.MasterSecret.Clone(), p.MasterSalt.Clone()
	p.SenderID, p.RecipientID = bytes.Clone(p.SenderID), bytes.Clone(p.RecipientID)
	p.IDContext = bytes.Clone(p.IDContext)
	return p
}

// Validate reports all faults, joined, each of them ErrParams.
func (p Params) Validate() error {
	p = p.withDefaults()
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("%w: %s", ErrParams, fmt.Sprintf(format, args...)))
		}
	}
	fault(len(p.MasterSecret) == 0, "no master secret")
	fault(p.SenderID == nil, "no sender id")
	fault(p.RecipientID == nil, "no recipient id")
	fault(p.SenderID != nil && p.RecipientID != nil && bytes.Equal(p.SenderID, p.RecipientID), "sender id equals recipient id")
	fault(!p.HKDF.IsHMAC(), "hkdf algorithm %d is not hmac based", int64(p.HKDF))
	aead, ok := p.AEAD.AEAD()
	fault(!ok, "algorithm %d is not a known aead algorithm", int64(p.AEAD))
	if ok {
		fault(aead.NonceSize < MinNonceSize, "nonces of %d bytes are too short", aead.NonceSize)
		limit := MaxIDSize(aead.NonceSize)
		fault(len(p.SenderID) > limit, "sender id of %d bytes, limit %d", len(p.SenderID), limit)
		fault(len(p.RecipientID) > limit, "recipient id of %d bytes, limit %d", len(p.RecipientID), limit)
	}
	fault(p.ReplayWindow < 1 || p.ReplayWindow > replay.MaxSize, "replay window of %d, limit %d", p.ReplayWindow, replay.MaxSize)
	return errors.Join(faults...)
}
