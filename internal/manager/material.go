package manager

import (
	"context"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// keyMaterial is the content of 'key' for members. HKDF SHA-256 is left out, as
// the text allows: receivers take it as the default
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3).
func (h *head) keyMaterial(senderID []byte) groupcomm.KeyMaterial {
	k := groupcomm.KeyMaterial{
		MasterSecret: h.Secret.Clone(), Gid: append([]byte(nil), h.Gid...), SenderID: senderID,
		CredentialFormat: h.Config.CredentialFormat,
	}
	if len(h.Salt) > 0 {
		k.MasterSalt = h.Salt.Clone()
	}
	if h.Config.HKDF != cose.AlgHMAC256 {
		k.HKDF = h.Config.HKDF
	}
	h.Config.algorithms(&k)
	return k
}

// configuration is what a rekeying message tells of a new configuration
// (draft-ietf-ace-oscore-gm-admin-17, Section 6.6.2).
func (h *head) configuration() groupcomm.KeyMaterial {
	k := groupcomm.KeyMaterial{HKDF: h.Config.HKDF, CredentialFormat: h.Config.CredentialFormat}
	h.Config.algorithms(&k)
	return k
}

// algorithms fills in the algorithms of the modes in use.
func (c GroupConfig) algorithms(k *groupcomm.KeyMaterial) {
	if c.Modes.Signing() {
		k.GroupEnc, k.Signature, k.SignParams = c.GroupEnc, c.Signature, groupcomm.SignParams(c.keyCurve())
	}
	if c.Modes.Pairwise() {
		k.AEAD, k.KeyAgreement, k.ECDHParams = c.AEAD, c.KeyAgreement, groupcomm.ECDHParams(c.agreementCurve())
	}
}

func (h *head) expiry(now time.Time) groupcomm.Expiry {
	return groupcomm.ExpiryAt(time.Unix(h.Expires, 0), now)
}

func (c GroupConfig) policies() groupcomm.Policies {
	return groupcomm.Policies{CheckInterval: c.CheckInterval, ExpirationDelta: c.ExpirationDelta}
}

// Material gives a member the current keying material of its group, without its
// Sender ID (RFC 9594, Section 4.3.2; draft-ietf-ace-key-groupcomm-oscore-21, Section 9.1.1).
func (s *Service) Material(_ context.Context, c Caller, group string) (*groupcomm.KeyResponse, error) {
	return s.material(c, group, func(a *access) ([]byte, error) { return nil, a.onlyMember() })
}

// MaterialUpdate is Material for a notification to one that observes: with the
// Sender IDs that were given up under the version before. That it leaves proves
// nothing of the member.
func (s *Service) MaterialUpdate(_ context.Context, c Caller, group string) (*groupcomm.KeyResponse, error) {
	var out *groupcomm.KeyResponse
	err := s.serve(c, group, func(r reader, a *access) error {
		if err := a.onlyMember(); err != nil {
			return err
		}
		h := a.head
		scheme, told, err := s.announcement(group)
		if err != nil {
			return err
		}
		m, err := r.rekeyMessage(h, nil, a.now)
		if err != nil {
			return err
		}
		out = &groupcomm.KeyResponse{
			Key: h.keyMaterial(nil), Version: h.Version, Expiry: h.expiry(a.now), StaleIDs: m.StaleIDs,
			RekeyingScheme: scheme, MgtKeyMaterial: told.ManagementKeys, KDCCredential: m.KDCCredential,
		}
		if out.StaleIDs == nil {
			out.StaleIDs = [][]byte{}
		}
		s.progress.advance(memberKey{h.Number, a.member.Number}, h.Version, StageSent, 0)
		return nil
	})
	return out, err
}

// NodeMaterial gives a member the same with its Sender ID, if it has one
// (RFC 9594, Section 4.8.1; draft-ietf-ace-key-groupcomm-oscore-21, Section 9.1.2).
func (s *Service) NodeMaterial(_ context.Context, c Caller, group, node string) (*groupcomm.KeyResponse, error) {
	return s.material(c, group, func(a *access) ([]byte, error) {
		if err := a.onlyNode(node); err != nil {
			return nil, err
		}
		return a.member.senderID(), nil
	})
}

func (s *Service) material(c Caller, group string, check func(a *access) (senderID []byte, err error)) (*groupcomm.KeyResponse, error) {
	var out *groupcomm.KeyResponse
	err := s.serve(c, group, func(_ reader, a *access) error {
		id, err := check(a)
		if err != nil {
			return err
		}
		scheme, told, err := s.announcement(group)
		if err != nil {
			return err
		}
		out = &groupcomm.KeyResponse{
			Key: a.head.keyMaterial(id), Version: a.head.Version, Expiry: a.head.expiry(a.now),
			RekeyingScheme: scheme, MgtKeyMaterial: told.ManagementKeys,
		}
		s.progress.fetched(memberKey{a.head.Number, a.member.Number}, a.head.Version)
		return nil
	})
	return out, err
}

// serve runs a read-only operation of a caller on a group, after the common checks.
func (s *Service) serve(c Caller, group string, f func(r reader, a *access) error) error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.refused(c, group, "read", s.view(func(r reader) error {
		a, err := r.access(c, group, s.clock.Now())
		if err != nil {
			return err
		}
		return f(r, a)
	}))
}

// shows notes that a verified request of a member shows that it holds the
// version it had fetched before: it has gone on to something else.
func (s *Service) shows(a *access) {
	if a.member == nil || a.member.has(a.head.Version) {
		return
	}
	k := memberKey{a.head.Number, a.member.Number}
	if a.member.Given == a.head.Version+1 || s.progress.hasFetched(k, a.head.Version) {
		s.confirm(k, a.head.Version)
	}
}

// VerificationData gives a signature verifier what it needs
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 9.6).
func (s *Service) VerificationData(_ context.Context, c Caller, group string) (*groupcomm.KeyResponse, error) {
	var out *groupcomm.KeyResponse
	err := s.serve(c, group, func(_ reader, a *access) error {
		if err := a.onlyVerifier(); err != nil {
			return err
		}
		h := a.head
		key, err := signatureEncryptionKey(h)
		if err != nil {
			return err
		}
		k := groupcomm.KeyMaterial{Gid: append([]byte(nil), h.Gid...), HKDF: h.Config.HKDF, CredentialFormat: h.Config.CredentialFormat}
		h.Config.algorithms(&k)
		k.ECDHParams = nil
		out = &groupcomm.KeyResponse{Key: k, Version: h.Version, Expiry: h.expiry(a.now), SignatureEncryptionKey: key}
		return nil
	})
	return out, err
}

// signatureEncryptionKey derives the Signature Encryption Key of the current
// version (draft-ietf-core-oscore-groupcomm-28, Section 2.1.9).
func signatureEncryptionKey(h *head) (secret.Bytes, error) {
	p, ok := h.Config.GroupEnc.Cipher()
	if !ok {
		return nil, refuse(KindInternal, "no key size for %v", h.Config.GroupEnc)
	}
	return deriveSEKey(h, p.KeySize)
}
