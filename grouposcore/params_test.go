package grouposcore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

func TestParams(t *testing.T) {
	for name, change := range map[string]func(*Params){
		"GO-2.1.3-1 no Gid":                                            func(p *Params) { p.Gid = nil },
		"GO-2.1.3-1 Gid too long for the option":                       func(p *Params) { p.Gid = make([]byte, 249) },
		"GO-2-2 no master secret":                                      func(p *Params) { p.MasterSecret = nil },
		"GO-3.4-7 no credential of the Group Manager":                  func(p *Params) { p.GMCredential = nil },
		"GO-2.1.1-1 AES-CTR as AEAD Algorithm":                         func(p *Params) { p.AEAD = cose.AlgA128CTR },
		"GO-2.1.1-1 signature as AEAD Algorithm":                       func(p *Params) { p.AEAD = cose.AlgEdDSA },
		"GO-2.1.2-1 HKDF with AES":                                     func(p *Params) { p.HKDF = -12 },
		"GO-2.1.7-5 A128CBC":                                           func(p *Params) { p.GroupEnc = -65531 },
		"GO-2.1.7-5 A192CBC":                                           func(p *Params) { p.GroupEnc = -65530 },
		"GO-2.1.7-5 A256CBC":                                           func(p *Params) { p.GroupEnc = -65529 },
		"GO-2.1.7-2,GO-2.1.7-6 unknown cipher":                         func(p *Params) { p.GroupEnc = -65535 },
		"GO-2.1.7-6 HMAC as Group Encryption Algorithm":                func(p *Params) { p.GroupEnc = cose.AlgHMAC256 },
		"GO-2.1.8-1 AEAD as Signature Algorithm":                       func(p *Params) { p.Signature = cose.AlgA128GCM },
		"GO-14.16-2 RSA signatures":                                    func(p *Params) { p.Signature = -37 },
		"GO-2.1.10-2 ephemeral-static agreement":                       func(p *Params) { p.KeyAgreement = -25 },
		"GO-2.1.10-2 key wrap":                                         func(p *Params) { p.KeyAgreement = -32 },
		"GO-2.1.10-2 signature id as key agreement":                    func(p *Params) { p.KeyAgreement = cose.AlgES256 },
		"GO-2.1.10-1,GO-2.1.10-2 HKDF-512 agreement with HKDF SHA-256": func(p *Params) { p.KeyAgreement = cose.AlgECDHSSHKDF512 },
		"GO-2.1.10-1,GO-2.1.10-2 HKDF-256 agreement with HKDF SHA-512": func(p *Params) { p.HKDF = cose.AlgHMAC512 },
		"GO-2.1.10-3 no mode complete":                                 func(p *Params) { p.KeyAgreement, p.Signature = 0, 0 },
		"GO-14.12-1 replay window of 1":                                func(p *Params) { p.ReplayWindow = 1 },
		"GO-14.12-1 replay window below 0":                             func(p *Params) { p.ReplayWindow = -1 },
		"replay window above its bound":                                func(p *Params) { p.ReplayWindow = 4097 },
		"recipients below 0":                                           func(p *Params) { p.MaxRecipients = -1 },
		"unknown countersign form":                                     func(p *Params) { p.Countersign = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			p := defaults()
			change(&p)
			wantErr(t, p.Validate(), ErrParams)
			_, err := NewContext(p, identity(t, []byte{1}, "x"), numbers(t, 0), new(StaticCredentials))
			wantErr(t, err, ErrParams)
		})
	}
	for name, change := range map[string]func(*Params){
		"GO-2.4-2 the Group Manager's credential in any format": func(p *Params) { p.GMCredential = []byte{0x30, 0x82, 0xff} },
		"GO-C-1 Gid of prefix and epoch":                        func(p *Params) { p.Gid = []byte{0xb1, 0xf0, 0x5c} },
		"GO-2.1.3-1 empty Gid":                                  func(p *Params) { p.Gid = []byte{} },
		"GO-10-3 AES-CCM-16-64-128 in group mode":               func(p *Params) {},
		"GO-10-4,GO-2.1.7-1 A128CTR in group mode":              func(p *Params) { p.GroupEnc = cose.AlgA128CTR },
		"GO-10-2 group mode only":                               func(p *Params) { p.AEAD, p.KeyAgreement = 0, 0 },
		"GO-10-2 pairwise mode only":                            func(p *Params) { p.GroupEnc, p.Signature = 0, 0 },
		"GO-10-9 AES-CCM-16-64-128 and ECDH-SS + HKDF":          func(p *Params) { p.GroupEnc, p.Signature = 0, 0 },
		"GO-2.1.2-1 HKDF SHA-384 without pairwise mode": func(p *Params) {
			p.HKDF, p.AEAD, p.KeyAgreement = cose.AlgHMAC384, 0, 0
		},
		"GO-2.1.10-1 HKDF SHA-512 with its agreement": func(p *Params) {
			p.HKDF, p.KeyAgreement = cose.AlgHMAC512, cose.AlgECDHSSHKDF512
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := defaults()
			change(&p)
			if _, err := NewContext(p, identity(t, []byte{1}, "x"), numbers(t, 0), new(StaticCredentials)); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("all faults are reported together", func(t *testing.T) {
		p := Params{}
		err := p.Validate()
		for _, what := range []string{"gid", "master secret", "group manager credential", "neither"} {
			if !strings.Contains(err.Error(), what) {
				t.Errorf("%v does not speak of %q", err, what)
			}
		}
	})
	t.Run("GO-2.1.9-2 keys print as nothing", func(t *testing.T) {
		p := defaults()
		p.MasterSecret = secret.Bytes("A-VERY-SECRET-ONE")
		r := newRealm(t, func(q *Params) { *q = p })
		for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p), fmt.Sprintf("%v", r.at(t, "client", 0))} {
			if strings.Contains(s, "SECRET") || strings.Contains(s, "A-VERY") {
				t.Errorf("printed %s", s)
			}
		}
	})
}

func TestMaxSenderID(t *testing.T) {
	for name, x := range map[string]struct {
		aead, enc cose.Algorithm
		want      int
	}{
		"GO-2.2-2 13-byte nonces":           {cose.AlgAESCCM16_64_128, cose.AlgAESCCM16_64_128, 7},
		"GO-2.2-2 the smaller counts: CTR":  {cose.AlgAESCCM16_64_128, cose.AlgA128CTR, 6},
		"GO-2.2-2 the smaller counts: AEAD": {cose.AlgChaCha20Poly1305, cose.AlgAESCCM16_64_128, 6},
		"GO-2.2-2 7-byte nonces":            {cose.AlgAESCCM16_64_128, 12, 1},
		"GO-2.2-2 group mode alone":         {0, cose.AlgA128CTR, 6},
		"GO-2.2-2 pairwise mode alone":      {cose.AlgAESCCM16_64_128, 0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			p := defaults()
			p.AEAD, p.GroupEnc = x.aead, x.enc
			if x.aead == 0 {
				p.KeyAgreement = 0
			}
			if x.enc == 0 {
				p.Signature = 0
			}
			if got := p.MaxSenderID(); got != x.want {
				t.Fatalf("%d, not %d", got, x.want)
			}
			id := identity(t, make([]byte, x.want), "x")
			if _, err := NewContext(p, id, numbers(t, 0), new(StaticCredentials)); err != nil {
				t.Fatal(err)
			}
			id.SenderID = make([]byte, x.want+1)
			_, err := NewContext(p, id, numbers(t, 0), new(StaticCredentials))
			wantErr(t, err, ErrParams)
		})
	}
	t.Run("GO-2.2-2 a longer kid is refused", func(t *testing.T) {
		r := newRealm(t)
		m, _ := ask(t, r.at(t, "client", 0), get("a"), GroupMode, nil)
		o := option(t, m)
		o.KID = make([]byte, 8)
		_, _, _, err := r.at(t, "server", 0).UnprotectRequest(reoption(m, o))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("GO-14-1 identifiers are raw bytes", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.Gid = []byte{0xff, 0, ' ', '\n'} })
		r.add(identity(t, []byte{0xff, 0, 0x20}, "raw"), "raw")
		m, _ := ask(t, r.at(t, "raw", 0), get("a"), GroupMode, nil)
		_, _, s := hear(t, r.at(t, "server", 0), m)
		wantBytes(t, "sender id", s.ID, []byte{0xff, 0, 0x20})
		wantBytes(t, "gid", s.Gid, []byte{0xff, 0, ' ', '\n'})
	})
}

func TestIdentity(t *testing.T) {
	build := func(t *testing.T, id Identity, change ...func(*Params)) error {
		p := defaults()
		for _, f := range change {
			f(&p)
		}
		_, err := NewContext(p, id, numbers(t, 0), new(StaticCredentials))
		return err
	}
	with := func(t *testing.T, crv cose.Curve) Identity {
		k := key(t, crv, "x")
		c, err := cose.NewCCS("x", k.Public())
		if err != nil {
			t.Fatal(err)
		}
		return Identity{SenderID: []byte{1}, Credential: c, PrivateKey: k}
	}
	pairwiseOnly := func(p *Params) { p.GroupEnc, p.Signature = 0, 0 }
	t.Run("GO-10-6,GO-10-7 Ed25519 signs", func(t *testing.T) {
		if err := build(t, with(t, cose.CurveEd25519)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-10-7 P-256 signs", func(t *testing.T) {
		if err := build(t, with(t, cose.CurveP256), func(p *Params) { p.Signature = cose.AlgES256 }); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-10-10,GO-10-11 X25519 agrees where nobody signs", func(t *testing.T) {
		if err := build(t, with(t, cose.CurveX25519), pairwiseOnly); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-10-11 P-256 agrees", func(t *testing.T) {
		if err := build(t, with(t, cose.CurveP256), pairwiseOnly); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-8-2 a key that only agrees is refused where both modes are", func(t *testing.T) {
		wantErr(t, build(t, with(t, cose.CurveX25519)), ErrBadCredential)
	})
	t.Run("GO-2.4-4 a key of another algorithm is refused", func(t *testing.T) {
		wantErr(t, build(t, with(t, cose.CurveP256)), ErrBadCredential)
	})
	t.Run("GO-2-4 private key and credential must match", func(t *testing.T) {
		id := identity(t, []byte{1}, "a")
		id.PrivateKey = key(t, cose.CurveEd25519, "b")
		wantErr(t, build(t, id), ErrParams)
	})
	t.Run("GO-2-4 a Sender Context needs its own key", func(t *testing.T) {
		wantErr(t, build(t, Identity{SenderID: []byte{1}}), ErrParams)
	})
	t.Run("GO-2.2-1 an empty Sender ID is an ID", func(t *testing.T) {
		if err := build(t, identity(t, []byte{}, "a")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-8-3 silent server needs group mode", func(t *testing.T) {
		wantErr(t, build(t, Identity{}, pairwiseOnly), ErrParams)
	})
	t.Run("GO-2-4 silent server has no key", func(t *testing.T) {
		id := identity(t, []byte{1}, "a")
		id.SenderID = nil
		wantErr(t, build(t, id), ErrParams)
	})
	t.Run("credential source and sequence are mandatory", func(t *testing.T) {
		_, err := NewContext(defaults(), identity(t, []byte{1}, "a"), numbers(t, 0), nil)
		wantErr(t, err, ErrParams)
		_, err = NewContext(defaults(), identity(t, []byte{1}, "a"), nil, new(StaticCredentials))
		wantErr(t, err, ErrParams)
	})
	t.Run("parameters are copied", func(t *testing.T) {
		r := newRealm(t)
		a := r.at(t, "client", 0)
		r.params.Gid[0] ^= 1
		r.params.MasterSecret[0] ^= 1
		r.params.GMCredential[0] ^= 1
		wantBytes(t, "gid", a.Gid(), []byte{0x44, 0x61, 0x6c})
		if bytes.Equal(a.Gid(), r.params.Gid) {
			t.Fatal("gid is shared")
		}
	})
}

// peers offers one credential for every Sender ID.
type peers struct {
	cred *cose.Credential
	err  error
}

func (p peers) Credential(_, _ []byte) (*cose.Credential, error) { return p.cred, p.err }

func TestPeerCredential(t *testing.T) {
	r := newRealm(t)
	m, _ := ask(t, r.at(t, "client", 0), get("a"), GroupMode, nil)
	pair, _ := ask(t, r.at(t, "client", 9), get("a"), PairwiseMode, []byte{0x52})
	refused := func(t *testing.T, src CredentialSource, want error) {
		t.Helper()
		c, err := NewContext(r.params, r.ids["server"], numbers(t, 0), src)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = c.UnprotectRequest(m)
		wantErr(t, err, want)
		_, _, _, err = c.UnprotectRequest(pair)
		wantErr(t, err, want)
		if c.Recipients() != 0 {
			t.Fatal("a recipient context was kept")
		}
	}
	t.Run("GO-7.2-4,GO-7.2-3 unknown credential", func(t *testing.T) { refused(t, peers{err: ErrNoCredential}, ErrNoCredential) })
	t.Run("GO-7.2-4 none and no error", func(t *testing.T) { refused(t, peers{}, ErrNoCredential) })
	t.Run("GO-7.2-4 the source's own error", func(t *testing.T) {
		broken := errors.New("broken")
		refused(t, peers{err: broken}, broken)
	})
	p256 := key(t, cose.CurveP256, "p")
	cred, err := cose.NewCCS("p", p256.Public())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("GO-2.4-4,GO-2.4-8 key of another curve", func(t *testing.T) { refused(t, peers{cred: cred}, ErrBadCredential) })
	t.Run("GO-2.4-1 another format than the group's", func(t *testing.T) {
		p := r.params
		p.CredentialFormat = cose.FormatCWT
		s, err := NewContext(p, Identity{}, nil, r.creds)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = s.UnprotectRequest(m)
		wantErr(t, err, ErrBadCredential)
	})
	t.Run("GO-2.4-6 a tagged credential is used without its tag", func(t *testing.T) {
		raw := r.ids["client"].Credential.Bytes()
		tagged, err := cose.ParseCredential(cose.FormatCCS, append([]byte{0xd8, 0x3d}, raw...))
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewContext(r.params, r.ids["server"], numbers(t, 0), peers{cred: tagged})
		if err != nil {
			t.Fatal(err)
		}
		hear(t, s, m)
		hear(t, s, pair)
	})
	t.Run("GO-2.4-5 same key under other bytes", func(t *testing.T) {
		other, err := cose.NewCCS("another subject", r.ids["client"].Credential.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, peers{cred: other}, ErrDecryption)
	})
}
