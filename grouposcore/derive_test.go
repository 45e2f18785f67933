package grouposcore

import (
	"bytes"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// derivation is a Common Context over Master Secret 0102..10 and the salt of
// RFC 8613, Appendix C, under Gid 44616c.
func derivation(t *testing.T, change func(*Params)) *common {
	t.Helper()
	p := defaults()
	p.MasterSecret = unhex(t, "0102030405060708090a0b0c0d0e0f10")
	p.MasterSalt = unhex(t, "9e7ca92223786340")
	if change != nil {
		change(&p)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := newCommon(p, new(StaticCredentials))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// byHand derives with an info array written out in hexadecimal.
func byHand(t *testing.T, c *common, info string, length int) []byte {
	t.Helper()
	k, err := cose.HKDF(c.hkdf, c.params.MasterSalt, c.params.MasterSecret, unhex(t, info), length)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func memberKey(t *testing.T, c *common, id byte) []byte {
	t.Helper()
	k, err := c.memberKey([]byte{id})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyDerivation(t *testing.T) {
	t.Run("GO-2.3-1 Sender and Recipient Keys of two CCM algorithms", func(t *testing.T) {
		c := derivation(t, nil)
		wantBytes(t, "key of 25", memberKey(t, c, 0x25), unhex(t, "2f99604a9be876ce3267aa2806cad220"))
		wantBytes(t, "key of 52", memberKey(t, c, 0x52), unhex(t, "6511e11b210c2f0a89d06c667123fe7f"))
		wantBytes(t, "key of 25 by hand", memberKey(t, c, 0x25), byHand(t, c, "85 4125 4344616c 0a 634b6579 10", 16))
	})
	t.Run("GO-2.1.4-1 Common IV of two CCM algorithms has 13 bytes", func(t *testing.T) {
		c := derivation(t, nil)
		wantBytes(t, "common iv", c.commonIV, unhex(t, "1aefbad5982e57fc8c5057d74c"))
	})
	t.Run("GO-2.1.9-1,GO-2.1.9-2 Signature Encryption Key", func(t *testing.T) {
		c := derivation(t, nil)
		wantBytes(t, "sekey", c.seKey, unhex(t, "cd32caeeabf3324d4bb84793a551e234"))
		wantBytes(t, "sekey by hand", c.seKey, byHand(t, c, "85 40 4344616c 0a 6553454b6579 10", 16))
	})
	t.Run("GO-2.1.4-2,GO-2.3-2 AES-CTR counts as 12 bytes, the IV is as long as the AEAD's nonce", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		wantBytes(t, "common iv", c.commonIV, byHand(t, c, "85 40 4344616c 39fffd 624956 0d", 13))
		wantBytes(t, "key", memberKey(t, c, 0x25), byHand(t, c, "85 4125 4344616c 39fffd 634b6579 10", 16))
	})
	t.Run("GO-2.1.4-1 AES-CTR alone gives a Common IV of 12 bytes", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.GroupEnc, p.AEAD, p.KeyAgreement = cose.AlgA128CTR, 0, 0 })
		wantBytes(t, "common iv", c.commonIV, byHand(t, c, "85 40 4344616c 39fffd 624956 0c", 12))
	})
	t.Run("GO-2.3-3 the key is as long as the algorithm named in info wants", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.GroupEnc = cose.AlgChaCha20Poly1305 })
		wantBytes(t, "key", memberKey(t, c, 0x25), byHand(t, c, "85 4125 4344616c 1818 634b6579 1820", 32))
		wantBytes(t, "common iv", c.commonIV, byHand(t, c, "85 40 4344616c 1818 624956 0d", 13))
	})
	t.Run("GO-2.3-1 without Group Encryption Algorithm the AEAD Algorithm is named", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.GroupEnc, p.Signature, p.AEAD = 0, 0, cose.AlgA128GCM })
		wantBytes(t, "key", memberKey(t, c, 0x25), byHand(t, c, "85 4125 4344616c 01 634b6579 10", 16))
		if c.seKey != nil {
			t.Fatal("a signature encryption key without group mode")
		}
	})
	t.Run("GO-2.6.3.2-3 no salt is the empty salt", func(t *testing.T) {
		absent := derivation(t, func(p *Params) { p.MasterSalt = nil })
		empty := derivation(t, func(p *Params) { p.MasterSalt = secret.Bytes{} })
		former := derivation(t, nil)
		wantBytes(t, "key", memberKey(t, absent, 0x25), memberKey(t, empty, 0x25))
		if bytes.Equal(memberKey(t, absent, 0x25), memberKey(t, former, 0x25)) {
			t.Fatal("the salt makes no difference")
		}
	})
	t.Run("GO-10-1 HKDF SHA-256 is the default", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.HKDF = cose.AlgHMAC256 })
		wantBytes(t, "key", memberKey(t, c, 0x25), memberKey(t, derivation(t, nil), 0x25))
	})
}

// env is an envelope for a nonce of client 25 and PIV 05.
func env(mode Mode) *envelope { return &envelope{mode: mode, genID: []byte{0x25}, piv: []byte{5}} }

func TestNonce(t *testing.T) {
	t.Run("GO-3.3-1 identifier and Partial IV over the Common IV", func(t *testing.T) {
		c := derivation(t, nil)
		wantBytes(t, "nonce", c.nonce(new(scratch), env(GroupMode)), unhex(t, "1befbad5982e57d98c5057d749"))
	})
	t.Run("GO-3.3-2 each mode pads to its own nonce length and takes the first bytes of the Common IV", func(t *testing.T) {
		c := derivation(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		for mode, size := range map[Mode]int{GroupMode: 12, PairwiseMode: 13} {
			want := make([]byte, size)
			want[0], want[size-6], want[size-1] = 1, 0x25, 5
			for i := range want {
				want[i] ^= c.commonIV[i]
			}
			wantBytes(t, mode.String()+" nonce", c.nonce(new(scratch), env(mode)), want)
		}
	})
	t.Run("GO-3.3-3 one construction for AEAD and plain cipher", func(t *testing.T) {
		ctr := derivation(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		gcm := derivation(t, func(p *Params) { p.GroupEnc = cose.AlgA128GCM })
		a, b := ctr.nonce(new(scratch), env(GroupMode)), gcm.nonce(new(scratch), env(GroupMode))
		for i := range a {
			a[i] ^= ctr.commonIV[i]
			b[i] ^= gcm.commonIV[i]
		}
		wantBytes(t, "nonce without common iv", a, b)
	})
}

func TestPairwiseKeys(t *testing.T) {
	r := newRealm(t)
	client, server := r.at(t, "client", 0), r.at(t, "server", 0)
	pair := func(c *Context, peer byte) (send, recv []byte) {
		rec, err := c.recipient([]byte{peer})
		if err != nil {
			t.Fatal(err)
		}
		z, err := c.self.agree(rec.cred)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.pairKey(c.self.key, c.self.id, c.self.cred, rec.cred, z)
		if err != nil {
			t.Fatal(err)
		}
		k, err := c.pairKey(rec.key, rec.id, rec.cred, c.self.cred, z)
		if err != nil {
			t.Fatal(err)
		}
		return s, k
	}
	clientSend, clientRecv := pair(client, 0x52)
	serverSend, serverRecv := pair(server, 0x25)
	t.Run("GO-2.5.1-4 one side's sender key is the other's recipient key", func(t *testing.T) {
		wantBytes(t, "client to server", clientSend, serverRecv)
		wantBytes(t, "server to client", serverSend, clientRecv)
		if bytes.Equal(clientSend, serverSend) {
			t.Fatal("both directions have one key")
		}
	})
	z, err := client.self.agree(r.ids["server"].Credential)
	if err != nil {
		t.Fatal(err)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	cc, sc := r.ids["client"].Credential.Bytes(), r.ids["server"].Credential.Bytes()
	t.Run("GO-2.5.1-1,GO-2.5.1-3 sender key: own Sender Key, own credential first", func(t *testing.T) {
		want, err := cose.HKDF(cose.AlgHMAC256, client.self.key, join(cc, sc, z), unhex(t, "85 4125 4344616c 0a 634b6579 10"), 16)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "pairwise sender key", clientSend, want)
	})
	t.Run("GO-2.5.1-2,GO-2.5.1-3 recipient key: Recipient Key, peer's credential first", func(t *testing.T) {
		want, err := cose.HKDF(cose.AlgHMAC256, server.self.key, join(sc, cc, z), unhex(t, "85 4152 4344616c 0a 634b6579 10"), 16)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "pairwise recipient key", clientRecv, want)
	})
	t.Run("GO-2.5.1-3 the AEAD Algorithm is named although a Group Encryption Algorithm is set", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.GroupEnc, p.AEAD = cose.AlgA128CTR, cose.AlgChaCha20Poly1305 })
		c := r.at(t, "client", 0)
		got, err := c.pairKey(c.self.key, c.self.id, c.self.cred, r.ids["server"].Credential, z)
		if err != nil {
			t.Fatal(err)
		}
		want, err := cose.HKDF(cose.AlgHMAC256, c.self.key, join(cc, sc, z), unhex(t, "85 4125 4344616c 1818 634b6579 1820"), 32)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "pairwise sender key", got, want)
	})
	t.Run("GO-2.5.1-7 a rekey gives other pairwise keys from the same shared secret", func(t *testing.T) {
		c := r.rekeyed(2).at(t, "client", 0)
		got, err := c.pairKey(c.self.key, c.self.id, c.self.cred, r.ids["server"].Credential, z)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, clientSend) {
			t.Fatal("pairwise key survived the rekey")
		}
	})
	t.Run("GO-2.5.4-1 a new Sender ID gives a new sender key and keeps the recipient key", func(t *testing.T) {
		id := r.ids["client"]
		id.SenderID = []byte{0x26}
		c, err := client.Renew(id, numbers(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		send, recv := pair(c, 0x52)
		if bytes.Equal(send, clientSend) {
			t.Fatal("pairwise sender key survived the new sender id")
		}
		wantBytes(t, "pairwise recipient key", recv, clientRecv)
	})
}

// bytesOnly is a credential without a key.
type bytesOnly []byte

func (b bytesOnly) Len() int                   { return len(b) }
func (b bytesOnly) AppendTo(dst []byte) []byte { return append(dst, b...) }

// TestAADArray has the worked bytes of the texts' structures with short
// credentials, and a cross-check with the CBOR library.
func TestAADArray(t *testing.T) {
	item := func(s string) credential { return bytesOnly(unhex(t, s)) }
	c := derivation(t, func(p *Params) { p.GMCredential = []byte{0xa3, 0xb3} })
	req := binding{kid: []byte{0x25}, piv: []byte{5}, gid: c.gid}
	t.Run("GO-3.4-2,GO-3.4-5,GO-3.4-6,GO-3.4-7 request", func(t *testing.T) {
		got := c.appendExternalAAD(nil, req, unhex(t, "39050344616c25"), item("a1b1"))
		wantBytes(t, "aad_array", got, unhex(t, "8901840a0a27381a41254105404344616c4739050344616c2542a1b142a3b3"))
	})
	t.Run("GO-3.4-4,GO-3.4-5,GO-3.4-6 response: own option and credential, the request's identifiers", func(t *testing.T) {
		got := c.appendExternalAAD(nil, req, unhex(t, "2852"), item("a2b2"))
		wantBytes(t, "aad_array", got, unhex(t, "8901840a0a27381a41254105404344616c42285242a2b242a3b3"))
	})
	t.Run("GO-3.4-5 an empty option is an empty byte string", func(t *testing.T) {
		got := c.appendExternalAAD(nil, req, nil, item("a2b2"))
		wantBytes(t, "aad_array", got, unhex(t, "8901840a0a27381a41254105404344616c4042a2b242a3b3"))
	})
	t.Run("GO-3.4-8 Enc_structure around it", func(t *testing.T) {
		s := new(scratch)
		e := &envelope{mode: GroupMode, req: req, option: unhex(t, "39050344616c25")}
		wantBytes(t, "aad", c.additionalData(s, e, item("a1b1")),
			unhex(t, "8368456e63727970743040 581f 8901840a0a27381a41254105404344616c4739050344616c2542a1b142a3b3"))
	})
	t.Run("GO-3.4-1 the modes share it", func(t *testing.T) {
		a, b := new(scratch), new(scratch)
		c.additionalData(a, &envelope{mode: GroupMode, req: req}, item("a1b1"))
		c.additionalData(b, &envelope{mode: PairwiseMode, req: req}, item("a1b1"))
		wantBytes(t, "external_aad", a.aad, b.aad)
	})
	for name, x := range map[string]struct {
		change func(*Params)
		want   string
	}{
		"GO-3.4-3 group mode only":      {func(p *Params) { p.AEAD, p.KeyAgreement = 0, 0 }, "84f60a27f6"},
		"GO-3.4-3 pairwise mode only":   {func(p *Params) { p.GroupEnc, p.Signature = 0, 0 }, "840af6f6381a"},
		"GO-3.4-3 AEAD without use":     {func(p *Params) { p.KeyAgreement = 0 }, "840a0a27f6"},
		"GO-3.4-3 A128CTR and ES256":    {func(p *Params) { p.GroupEnc, p.Signature = cose.AlgA128CTR, cose.AlgES256 }, "840a39fffd26381a"},
		"GO-3.4-3 fully specified -19":  {func(p *Params) { p.Signature = -19 }, "840a0a32381a"},
		"GO-2.1.10-1 HKDF with SHA-512": {func(p *Params) { p.HKDF, p.KeyAgreement = cose.AlgHMAC512, cose.AlgECDHSSHKDF512 }, "840a0a27381b"},
	} {
		t.Run(name, func(t *testing.T) {
			p := defaults()
			x.change(&p)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			wantBytes(t, "algorithms", aadHead(&p)[2:], unhex(t, x.want))
		})
	}
	t.Run("GO-3.4-2 the library encodes the same", func(t *testing.T) {
		for _, n := range []int{0, 1, 23, 24, 255, 256, 70000} {
			long := bytes.Repeat([]byte{0xab}, n)
			lib, err := cborx.Marshal([]any{1, []any{10, 10, -8, -27}, req.kid, req.piv, []byte{}, req.gid, long, long, []byte{0xa3, 0xb3}})
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, "aad_array", c.appendExternalAAD(nil, req, long, bytesOnly(long)), lib)
		}
	})
}

func TestKeystream(t *testing.T) {
	id, srv, gid := []byte{0x25}, []byte{0x52}, []byte{0x44, 0x61, 0x6c}
	for name, x := range map[string]struct {
		id      []byte
		request bool
		size    int
		want    string
	}{
		"GO-4.2-3,GO-4.2-4 request":             {id, true, 64, "8441254344616cf51840"},
		"GO-4.2-3,GO-4.2-4 response":            {id, false, 64, "8441254344616cf41840"},
		"GO-4.2-3 response with own Partial IV": {srv, false, 64, "8441524344616cf41840"},
		"GO-4.2-5 ES512 has 132 bytes":          {id, true, 132, "8441254344616cf51884"},
	} {
		t.Run(name, func(t *testing.T) {
			wantBytes(t, "info", appendKeystreamInfo(nil, x.id, gid, x.request, x.size), unhex(t, x.want))
		})
	}
	t.Run("GO-4.2-1,GO-4.2-5 keystream of a request", func(t *testing.T) {
		c := derivation(t, nil)
		got := make([]byte, 64)
		if err := c.xorKeystream(new(scratch), got, []byte{5}, id, true); err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "keystream", got, unhex(t, "24934effdf541c3071284134a35053f6fe99cead1b1a73e64aeb3c05a05b7a56"+
			"af7205f64eeb4342069f537ce5870106d62b70f8f7f5109313651c5869b996c4"))
	})
	t.Run("GO-4.2-1 all signature sizes agree with the generic derivation", func(t *testing.T) {
		c := derivation(t, nil)
		for _, n := range []int{64, 96, 114, 132} {
			got := make([]byte, n)
			if err := c.xorKeystream(new(scratch), got, []byte{1, 0}, id, true); err != nil {
				t.Fatal(err)
			}
			want, err := cose.HKDF(c.hkdf, []byte{1, 0}, c.seKey, appendKeystreamInfo(nil, id, c.gid, true, n), n)
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, "keystream", got, want)
		}
	})
}
