package grouposcore

import (
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Params is what all members of a group share under one Gid, as the Group
// Manager gives it (Section 2.1). Algorithm ids enter the additional data
// exactly as they stand here; -8 and -19 are not the same.
//
// The zero value of an algorithm is "unset", and an unset algorithm is null in
// the additional data. The group mode needs GroupEnc and Signature, the
// pairwise mode AEAD and KeyAgreement; at least one mode must be complete.
type Params struct {
	Gid          []byte       // Group Identifier, raw bytes; nil is refused, empty is not
	MasterSecret secret.Bytes // not empty
	MasterSalt   secret.Bytes // nil is the empty salt
	HKDF         cose.Algorithm
	// AEAD and KeyAgreement are of the pairwise mode. KeyAgreement must use the
	// group's hash: ECDH-SS+HKDF-256 with HKDF 5, -512 with HKDF 7.
	AEAD, KeyAgreement cose.Algorithm
	// GroupEnc and Signature are of the group mode. GroupEnc may be an AEAD or
	// AES-CTR; AES-CBC is refused.
	GroupEnc, Signature cose.Algorithm
	// CredentialFormat is the format of the members' credentials; 0 means CCS.
	CredentialFormat cose.CredentialFormat
	// GMCredential is the Group Manager's credential, exact bytes, not empty.
	GMCredential []byte
	// Countersign is the form of Countersign_structure to send and to accept.
	Countersign cose.CountersignForm
	// ReplayWindow is the size of each Replay Window; 0 means 32, 1 is refused
	// (Section 14.12), at most 4096.
	ReplayWindow int
	// MaxRecipients bounds the Recipient Contexts kept; 0 means 16384. Beyond
	// it the one unused for longest is deleted, with the consequence of
	// Section 2.6.1.2. A server that is not to lose windows, and a client that
	// is to hear all servers, choose it above the size of the group.
	MaxRecipients int
	// MaxSharedSecrets bounds the Diffie-Hellman secrets kept, about 300 bytes
	// each, for pairwise keys after the next rekey; 0 means 1024, a negative
	// number none. One that is not kept costs a key agreement.
	MaxSharedSecrets int
	// WindowsLost says that Replay Windows of this Gid existed before and are
	// gone: all windows start invalid.
	WindowsLost bool
	// LateResponses takes responses of a long exchange in any order, as far back
	// as a window of ReplayWindow reaches that each server gets in each exchange.
	// Without it a response older than the newest of its server is refused
	// (Section 5.3.1). Sender.PartialIV tells the order.
	LateResponses bool
	// Freshness is what becomes of requests that may not be fresh.
	Freshness Freshness
	// Established is when the Security Context was, and FreshFor for how long
	// after that any request under it is fresh enough for RequireEcho
	// (Section 9); it is a matter of Group, which knows the time. Zero: never.
	Established time.Time
	FreshFor    time.Duration
	// OnDelete, if set, is told of each Recipient Context deleted to make room
	// (Section 2.6.1.2). It is called while a message is being processed: it
	// must not wait or call back.
	OnDelete func(recipientID []byte)
}

// Identity is the endpoint's own part. A silent server has none of it.
type Identity struct {
	SenderID   []byte // nil for a silent server; an empty one is an ID
	Credential *cose.Credential
	PrivateKey *cose.PrivateKey
}

// groupMode and pairwiseMode report which modes the parameters allow
// (Section 6).
func (p *Params) groupMode() bool    { return p.GroupEnc != 0 && p.Signature != 0 }
func (p *Params) pairwiseMode() bool { return p.AEAD != 0 && p.KeyAgreement != 0 }

// hkdf is the HKDF Algorithm with its default.
func (p *Params) hkdf() cose.Algorithm {
	if p.HKDF == 0 {
		return cose.AlgHMAC256
	}
	return p.HKDF
}

// format is the credential format with its default.
func (p *Params) format() cose.CredentialFormat {
	if p.CredentialFormat == 0 {
		return cose.FormatCCS
	}
	return p.CredentialFormat
}

// Validate reports everything that is wrong with the parameters, joined, each
// wrapping ErrParams.
func (p *Params) Validate() error {
	var errs []error
	bad := func(format string, a ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrParams}, a...)...))
	}
	if p.Gid == nil {
		bad("no gid")
	}
	if len(p.Gid) > maxGid {
		bad("gid of %d bytes", len(p.Gid))
	}
	if len(p.MasterSecret) == 0 {
		bad("no master secret")
	}
	if n := len(p.GMCredential); n == 0 || n > maxGMCredential {
		bad("group manager credential of %d bytes", n)
	}
	if !p.hkdf().IsHMAC() {
		bad("hkdf algorithm %d is not hmac based", p.HKDF)
	}
	if _, ok := p.AEAD.AEAD(); p.AEAD != 0 && !ok {
		bad("aead algorithm %d is not a known aead", p.AEAD)
	}
	if _, ok := p.GroupEnc.Cipher(); p.GroupEnc != 0 && !ok {
		bad("group encryption algorithm %d is not permitted", p.GroupEnc)
	}
	if p.Signature != 0 && !p.Signature.IsSignature() {
		bad("signature algorithm %d is not a known signature", p.Signature)
	}
	if p.KeyAgreement != 0 {
		p.validateAgreement(bad)
	}
	if !p.groupMode() && !p.pairwiseMode() {
		bad("neither group nor pairwise mode has all its algorithms")
	}
	if p.ReplayWindow != 0 && p.ReplayWindow < minReplayWindow || p.ReplayWindow > maxReplayWindow {
		bad("replay window of %d", p.ReplayWindow)
	}
	if p.MaxRecipients < 0 {
		bad("%d recipient contexts", p.MaxRecipients)
	}
	if p.Countersign != cose.CountersignFive && p.Countersign != cose.CountersignFour {
		bad("countersign form %d", p.Countersign)
	}
	if p.Freshness > Refuse {
		bad("%v", p.Freshness)
	}
	return errors.Join(errs...)
}

// validateAgreement checks that the Pairwise Key Agreement Algorithm uses the
// group's HKDF (Section 2.1.10).
func (p *Params) validateAgreement(bad func(string, ...any)) {
	want := cose.Algorithm(0)
	switch p.KeyAgreement {
	case cose.AlgECDHSSHKDF256:
		want = cose.AlgHMAC256
	case cose.AlgECDHSSHKDF512:
		want = cose.AlgHMAC512
	default:
		bad("key agreement algorithm %d is not static-static ecdh", p.KeyAgreement)
		return
	}
	if p.hkdf() != want {
		bad("key agreement algorithm %d needs hkdf %d, not %d", p.KeyAgreement, want, p.hkdf())
	}
}

// nonceSizes returns the smaller and the larger nonce length of the one or two
// algorithms set (Sections 2.1.4 and 2.2).
func (p *Params) nonceSizes() (smaller, larger int) {
	for _, a := range []cose.Algorithm{p.AEAD, p.GroupEnc} {
		c, ok := a.Cipher()
		if a == 0 || !ok {
			continue
		}
		if smaller == 0 || c.NonceSize < smaller {
			smaller = c.NonceSize
		}
		larger = max(larger, c.NonceSize)
	}
	return smaller, larger
}

// MaxSenderID is the longest Sender ID in bytes: the smaller nonce length
// less 6 (Section 2.2). It is -1 if no algorithm is set.
func (p *Params) MaxSenderID() int {
	smaller, _ := p.nonceSizes()
	return max(smaller-6, -1)
}

// CollisionSecurity is how many bits of security countersignatures have against
// an insider who looks for two plaintexts with one ciphertext (Section 14.16):
// with an AEAD as Group Encryption Algorithm half the tag's, which is 32 for
// AES-CCM-16-64-128 and would be 128 only with a tag of 256 bits; with AES-CTR,
// where a ciphertext has one plaintext under each key, 128. It is 0 without group
// mode.
func (p *Params) CollisionSecurity() int {
	a, ok := p.GroupEnc.Cipher()
	switch {
	case !ok || !p.groupMode():
		return 0
	case a.TagSize == 0:
		return 128
	}
	return min(128, 8*a.TagSize/2)
}

// keyAlgorithm is the alg_aead of Sender Keys, Recipient Keys and Common IV:
// the Group Encryption Algorithm if set, else the AEAD Algorithm (Section 2.3).
func (p *Params) keyAlgorithm() cose.Algorithm {
	if p.GroupEnc != 0 {
		return p.GroupEnc
	}
	return p.AEAD
}

// checkIdentity validates the own identity against valid parameters.
func (p *Params) checkIdentity(id Identity) error {
	if id.SenderID == nil {
		if id.PrivateKey != nil || id.Credential != nil {
			return fmt.Errorf("%w: silent server with a key", ErrParams)
		}
		if !p.groupMode() {
			return fmt.Errorf("%w: silent server in a group without group mode", ErrParams)
		}
		if p.Freshness == RequireEcho {
			return fmt.Errorf("%w: a silent server cannot ask for an echo", ErrParams)
		}
		return nil
	}
	if n := len(id.SenderID); n > p.MaxSenderID() {
		return fmt.Errorf("%w: sender id of %d bytes, at most %d", ErrParams, n, p.MaxSenderID())
	}
	if 1+5+1+len(p.Gid)+len(id.SenderID) > 255 {
		return fmt.Errorf("%w: gid and sender id do not fit the oscore option", ErrParams)
	}
	if id.Credential == nil || id.PrivateKey == nil {
		return fmt.Errorf("%w: no own credential or private key", ErrParams)
	}
	if !id.PrivateKey.Public().Equal(id.Credential.PublicKey()) {
		return fmt.Errorf("%w: private key does not match the own credential", ErrParams)
	}
	if err := p.checkCredential(id.Credential); err != nil {
		return fmt.Errorf("%w: own credential: %w", ErrParams, err)
	}
	return nil
}

// checkCredential reports whether a member's credential fits the group: its
// format (Section 2.4), and a key that can do all the group's algorithms ask
// for (Sections 2.4 and 8).
func (p *Params) checkCredential(c *cose.Credential) error {
	if c.Format() != p.format() {
		return fmt.Errorf("%w: format %d, the group uses %d", ErrBadCredential, c.Format(), p.format())
	}
	pub := c.PublicKey()
	if pub == nil {
		return fmt.Errorf("%w: no public key", ErrBadCredential)
	}
	if p.groupMode() {
		if _, err := pub.SignatureSize(p.Signature); err != nil {
			return fmt.Errorf("%w: key cannot verify algorithm %d", ErrBadCredential, p.Signature)
		}
	}
	return nil
}
