package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// common is the Common Context of one Gid with what was derived from it, and
// the Recipient Contexts, which outlive a change of the own Sender ID. All but
// the table is immutable.
type common struct {
	params   Params // own copies of all slices
	hkdf     cose.Algorithm
	gid      []byte
	commonIV []byte
	seKey    secret.Bytes // Signature Encryption Key; nil without group mode

	encNonce, encTag   int    // of the Group Encryption Algorithm
	encMax             uint64 // its longest plaintext, bytes
	aeadNonce, aeadTag int    // of the AEAD Algorithm
	aeadMax            uint64

	// groupCipher makes the cipher of a Sender Key or Recipient Key in the Group
	// Encryption Algorithm.
	groupCipher func(key []byte) (cipher.AEAD, error)

	aadHead, aadTail []byte
	creds            CredentialSource
	peers            *table
	agreed           atomic.Pointer[agreements]
	scratch          sync.Pool
}

// newCommon derives the Common Context. p must be valid.
func newCommon(p Params, creds CredentialSource) (*common, error) {
	p.Gid = append([]byte{}, p.Gid...)
	p.MasterSecret = p.MasterSecret.Clone()
	p.MasterSalt = p.MasterSalt.Clone()
	p.GMCredential = bytes.Clone(p.GMCredential)
	if p.ReplayWindow == 0 {
		p.ReplayWindow = defaultReplayWindow
	}
	if p.MaxRecipients == 0 {
		p.MaxRecipients = defaultMaxRecipients
	}
	if p.MaxSharedSecrets == 0 {
		p.MaxSharedSecrets = defaultMaxSharedSecrets
	}
	c := &common{
		params: p, hkdf: p.hkdf(), gid: p.Gid, creds: creds,
		aadHead: aadHead(&p),
		aadTail: cborx.AppendBytes(nil, p.GMCredential),
		peers:   newTable(p.MaxRecipients, p.WindowsLost, p.OnDelete),
	}
	c.scratch.New = func() any { return new(scratch) }
	c.agreed.Store(newAgreements(p.MaxSharedSecrets))
	_, ivLen := p.nonceSizes()
	iv, err := c.derive([]byte{}, p.keyAlgorithm(), "IV", ivLen)
	if err != nil {
		return nil, err
	}
	c.commonIV = iv
	if p.AEAD != 0 {
		a, _ := p.AEAD.AEAD()
		c.aeadNonce, c.aeadTag, c.aeadMax = a.NonceSize, a.TagSize, p.AEAD.MaxPlaintext()
	}
	if p.GroupEnc != 0 {
		a, _ := p.GroupEnc.Cipher()
		c.encNonce, c.encTag, c.encMax = a.NonceSize, a.TagSize, p.GroupEnc.MaxPlaintext()
		c.groupCipher = func(key []byte) (cipher.AEAD, error) { return cose.NewCipher(p.GroupEnc, key) }
		if c.seKey, err = c.derive([]byte{}, p.GroupEnc, "SEKey", a.KeySize); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// derive runs the HKDF of RFC 8613, Section 3.2.1, over the group's secret.
func (c *common) derive(id []byte, alg cose.Algorithm, typ string, length int) (secret.Bytes, error) {
	k, err := oscore.DeriveKey(c.hkdf, c.params.MasterSecret, c.params.MasterSalt, id, c.gid, alg, typ, length)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", typ, err)
	}
	return k, nil
}

// memberKey derives the Sender Key or Recipient Key of a Sender ID
// (Section 2.3).
func (c *common) memberKey(id []byte) (secret.Bytes, error) {
	alg := c.params.keyAlgorithm()
	size, _ := alg.Cipher()
	return c.derive(id, alg, "Key", size.KeySize)
}

// scratch is storage for the intermediate values of one message.
type scratch struct {
	aad, enc, tbs   []byte
	info, keystream []byte
	nonce           []byte
}

func (c *common) getScratch() *scratch { return c.scratch.Get().(*scratch) }

// putScratch gives s back, unless it has become large.
func (c *common) putScratch(s *scratch) {
	if cap(s.tbs) <= maxScratch {
		c.scratch.Put(s)
	}
}
