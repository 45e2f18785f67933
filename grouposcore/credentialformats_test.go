package grouposcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// formatKey makes a key pair that depends on its name only.
func formatKey(t testing.TB, crv cose.Curve, name string) *cose.PrivateKey {
	t.Helper()
	random := sha3.NewSHAKE128()
	if _, err := random.Write([]byte(name)); err != nil {
		t.Fatal(err)
	}
	k, err := cose.GenerateKey(crv, random)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// delivered is a credential as members may get it: in several ways that mean the same.
type delivered struct {
	format cose.CredentialFormat
	forms  map[string][]byte
}

// deliver makes credentials about a key in every format that has room for it.
func deliver(t testing.TB, name string, pub *cose.PublicKey) []delivered {
	t.Helper()
	ccs, err := cose.NewCCS(name, pub)
	if err != nil {
		t.Fatal(err)
	}
	cwt, err := cose.NewCWT(name, pub, cose.AlgEdDSA, formatKey(t, cose.CurveEd25519, "issuer"))
	if err != nil {
		t.Fatal(err)
	}
	tagged := func(b []byte, tags ...uint64) []byte {
		var head []byte
		for _, n := range tags {
			head = cborx.AppendTag(head, n)
		}
		return append(head, b...)
	}
	inArray := func(certs ...[]byte) []byte {
		b := cborx.AppendArray(nil, len(certs))
		for _, c := range certs {
			b = cborx.AppendBytes(b, c)
		}
		return b
	}
	c5, c5CA := c509(t, name, pub, false), c509(t, "CA", formatKey(t, cose.CurveP256, "CA").Public(), true)
	all := []delivered{
		{cose.FormatCCS, map[string][]byte{"untagged": ccs.Bytes(), "tagged": tagged(ccs.Bytes(), 601)}},
		{cose.FormatCWT, map[string][]byte{"untagged": cwt.Bytes(), "tagged": tagged(cwt.Bytes(), 61, 18)}},
		{cose.FormatC509Chain, map[string][]byte{"alone": c5, "chain": inArray(c5, c5CA)}},
		{cose.FormatC509Bag, map[string][]byte{"alone": cborx.AppendBytes(nil, c5), "bag": inArray(c5CA, c5)}},
	}
	if der, ca := certificate(t, name, pub, false), certificate(t, "CA", formatKey(t, cose.CurveP256, "CA").Public(), true); der != nil {
		all = append(
			all,
			delivered{cose.FormatX5Chain, map[string][]byte{"alone": der, "chain": inArray(der, ca)}},
			delivered{cose.FormatX5Bag, map[string][]byte{"alone": cborx.AppendBytes(nil, der), "bag": inArray(ca, der)}},
		)
	}
	return all
}

// c509 makes a certificate that is natively signed, but by nobody.
func c509(t testing.TB, name string, pub *cose.PublicKey, ca bool) []byte {
	t.Helper()
	alg := map[cose.Curve]uint64{
		cose.CurveP256: 1, cose.CurveP384: 2, cose.CurveP521: 3, cose.CurveX25519: 8, cose.CurveX448: 9, cose.CurveEd25519: 12, cose.CurveEd448: 13,
	}[pub.Curve()]
	point := pub.X()
	if pub.Kty() == cose.KeyTypeEC2 {
		point = append(append([]byte{4}, point...), pub.Y()...)
	}
	b := cborx.AppendBytes(cborx.AppendUint(cborx.AppendArray(nil, 11), 2), []byte{1})
	b = cborx.AppendText(cborx.AppendUint(b, 5), "issuer")
	b = cborx.AppendNull(cborx.AppendUint(b, 1700000000))
	b = cborx.AppendBytes(cborx.AppendUint(cborx.AppendText(b, name), alg), point)
	if ca {
		b = cborx.AppendInt(cborx.AppendInt(cborx.AppendArray(b, 2), 4), -1)
	} else {
		b = cborx.AppendArray(b, 0)
	}
	return cborx.AppendBytes(b, nil)
}

// certificate makes an X.509 certificate; nil if crypto/x509 cannot.
func certificate(t testing.TB, name string, pub *cose.PublicKey, ca bool) []byte {
	t.Helper()
	var key crypto.PublicKey
	point := append(append([]byte{4}, pub.X()...), pub.Y()...)
	var err error
	switch pub.Curve() {
	case cose.CurveEd25519:
		key = ed25519.PublicKey(pub.X())
	case cose.CurveP256:
		key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	case cose.CurveP384:
		key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P384(), point)
	case cose.CurveP521:
		key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P521(), point)
	default:
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(1700000000, 0), NotAfter: time.Unix(1900000000, 0),
		IsCA: ca, BasicConstraintsValid: true,
	}
	issuer := ed25519.NewKeyFromSeed(make([]byte, 32))
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, key, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// pair is a client 01 and a server 02, each of which got the credentials its own way.
type pair struct {
	params         grouposcore.Params
	client, server *grouposcore.Context
}

func newPair(t testing.TB, p grouposcore.Params, client, server *cose.PrivateKey, clientSees, serverSees [2]*cose.Credential) *pair {
	t.Helper()
	at := func(id byte, k *cose.PrivateKey, sees [2]*cose.Credential) *grouposcore.Context {
		creds := new(grouposcore.StaticCredentials)
		creds.Set([]byte{1}, sees[0])
		creds.Set([]byte{2}, sees[1])
		own := grouposcore.Identity{SenderID: []byte{id}, Credential: sees[id-1], PrivateKey: k}
		c, err := grouposcore.NewContext(p, own, oscore.NewEphemeralSequence(), creds)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return &pair{p, at(1, client, clientSees), at(2, server, serverSees)}
}

func formatParams(format cose.CredentialFormat, sign cose.Algorithm) grouposcore.Params {
	p := grouposcore.Params{
		Gid: []byte{7}, MasterSecret: secret.Bytes("0123456789abcdef"), AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		Signature: sign, CredentialFormat: format, GMCredential: []byte("any format"),
	}
	if sign != 0 {
		p.GroupEnc = cose.AlgAESCCM16_64_128
	}
	return p
}

// exchange runs a request and a response in the given modes; answers says which.
func (p *pair) exchange(t testing.TB, asks, answers grouposcore.Mode) (request, response message.Message) {
	t.Helper()
	m := message.Message{Type: message.NonConfirmable, Token: message.Token{1}, Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("light")}}}
	request, cx, err := p.client.ProtectRequest(m, grouposcore.RequestOptions{Mode: asks, To: []byte{2}})
	if err != nil {
		t.Fatal(err)
	}
	in, sx, from, err := p.server.UnprotectRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	if in.Code != codes.GET || from.Mode != asks || !bytes.Equal(from.ID, []byte{1}) {
		t.Fatalf("%v from %+v", in, from)
	}
	reply := message.Message{Type: message.NonConfirmable, Token: message.Token{1}, Code: codes.Content, Payload: []byte("on")}
	response, err = p.server.ProtectResponse(reply, sx, grouposcore.ResponseOptions{Mode: answers})
	if err != nil {
		t.Fatal(err)
	}
	in, from, err = p.client.UnprotectResponse(response, cx)
	if err != nil {
		t.Fatal(err)
	}
	if string(in.Payload) != "on" || from.Mode != answers || !bytes.Equal(from.ID, []byte{2}) {
		t.Fatalf("%v from %+v", in, from)
	}
	return request, response
}

func parse(t testing.TB, f cose.CredentialFormat, raw []byte) *cose.Credential {
	t.Helper()
	c, err := cose.ParseCredential(f, raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signing lists each curve that signs with the algorithms that go with it.
var signing = []struct {
	crv  cose.Curve
	algs []cose.Algorithm
	size int
}{
	{cose.CurveEd25519, []cose.Algorithm{cose.AlgEdDSA, cose.AlgEd25519}, 64},
	{cose.CurveEd448, []cose.Algorithm{cose.AlgEdDSA, cose.AlgEd448}, 114},
	{cose.CurveP256, []cose.Algorithm{cose.AlgES256, cose.AlgESP256}, 64},
	{cose.CurveP384, []cose.Algorithm{cose.AlgES384, cose.AlgESP384}, 96},
	{cose.CurveP521, []cose.Algorithm{cose.AlgES512, cose.AlgESP512}, 132},
}

func TestGroupsOfEachCredentialFormat(t *testing.T) {
	t.Parallel()
	both := []grouposcore.Mode{grouposcore.GroupMode, grouposcore.PairwiseMode}
	for _, s := range signing {
		client, server := formatKey(t, s.crv, "client"), formatKey(t, s.crv, "server")
		servers := deliver(t, "server", server.Public())
		for i, d := range deliver(t, "client", client.Public()) {
			for _, alg := range s.algs {
				for name, raw := range d.forms {
					a := parse(t, d.format, raw)
					b := parse(t, d.format, servers[i].forms[name])
					for other := range d.forms { // what the peer was given
						if other != name && alg != s.algs[0] {
							continue
						}
						t.Run(fmt.Sprintf("GO-2.4-1,GO-2.4-2,GO-2.4-3,GO-2.4-5,GO-2.4-6,GO-2.4-7,GO-2.4-9 %v %v on %v, %s and %s", d.format, alg, s.crv, name, other), func(t *testing.T) {
							p := newPair(
								t, formatParams(d.format, alg), client, server, [2]*cose.Credential{a, b},
								[2]*cose.Credential{parse(t, d.format, d.forms[other]), parse(t, d.format, servers[i].forms[other])},
							)
							for _, asks := range both {
								for _, answers := range both {
									p.exchange(t, asks, answers)
								}
							}
						})
					}
				}
			}
		}
	}
}

func TestSignatureSizeIsTheCredentials(t *testing.T) {
	t.Parallel()
	for _, s := range signing {
		client, server := formatKey(t, s.crv, "client"), formatKey(t, s.crv, "server")
		a, b := deliver(t, "client", client.Public())[0].forms["untagged"], deliver(t, "server", server.Public())[0].forms["untagged"]
		sees := [2]*cose.Credential{parse(t, cose.FormatCCS, a), parse(t, cose.FormatCCS, b)}
		for _, alg := range s.algs {
			p := newPair(t, formatParams(cose.FormatCCS, alg), client, server, sees, sees)
			t.Run(fmt.Sprintf("%v on %v adds %d bytes", alg, s.crv, s.size), func(t *testing.T) {
				group, _ := p.exchange(t, grouposcore.GroupMode, grouposcore.GroupMode)
				pairwise, _ := p.exchange(t, grouposcore.PairwiseMode, grouposcore.PairwiseMode)
				if got := len(group.Payload) - len(pairwise.Payload); got != s.size {
					t.Errorf("%d bytes", got)
				}
			})
		}
	}
	t.Run("a fully specified algorithm refuses the other curve", func(t *testing.T) {
		for alg, crv := range map[cose.Algorithm]cose.Curve{
			cose.AlgEd25519: cose.CurveEd448, cose.AlgEd448: cose.CurveEd25519, cose.AlgESP256: cose.CurveP384, cose.AlgESP384: cose.CurveP521, cose.AlgESP512: cose.CurveP256,
		} {
			k := formatKey(t, crv, "client")
			c, err := cose.NewCCS("client", k.Public())
			if err != nil {
				t.Fatal(err)
			}
			id := grouposcore.Identity{SenderID: []byte{1}, Credential: c, PrivateKey: k}
			_, err = grouposcore.NewContext(formatParams(cose.FormatCCS, alg), id, oscore.NewEphemeralSequence(), new(grouposcore.StaticCredentials))
			if !errors.Is(err, grouposcore.ErrBadCredential) {
				t.Errorf("%v with a key on %v: %v", alg, crv, err)
			}
		}
	})
}

func TestPairwiseOnlyGroups(t *testing.T) {
	t.Parallel()
	for _, crv := range []cose.Curve{cose.CurveX25519, cose.CurveX448, cose.CurveEd25519, cose.CurveEd448, cose.CurveP256, cose.CurveP384, cose.CurveP521} {
		client, server := formatKey(t, crv, "client"), formatKey(t, crv, "server")
		servers := deliver(t, "server", server.Public())
		for i, d := range deliver(t, "client", client.Public()) {
			for name, raw := range d.forms {
				t.Run(fmt.Sprintf("GO-2.4-4,GO-2.5.1-6,GO-10-2 %v %s on %v", d.format, name, crv), func(t *testing.T) {
					sees := [2]*cose.Credential{parse(t, d.format, raw), parse(t, d.format, servers[i].forms[name])}
					newPair(t, formatParams(d.format, 0), client, server, sees, sees).exchange(t, grouposcore.PairwiseMode, grouposcore.PairwiseMode)
				})
			}
		}
	}
}

func TestAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	k, peer := formatKey(t, cose.CurveEd25519, "client"), formatKey(t, cose.CurveEd25519, "server")
	of := map[cose.CredentialFormat][2]*cose.Credential{}
	peers := deliver(t, "server", peer.Public())
	for i, d := range deliver(t, "client", k.Public()) {
		for name, raw := range d.forms {
			of[d.format] = [2]*cose.Credential{parse(t, d.format, raw), parse(t, d.format, peers[i].forms[name])}
		}
	}
	for group := range of {
		for member, creds := range of {
			if group == member {
				continue
			}
			t.Run(fmt.Sprintf("GO-2.4-1 %v in a group of %v", member, group), func(t *testing.T) {
				id := grouposcore.Identity{SenderID: []byte{1}, Credential: creds[0], PrivateKey: k}
				if _, err := grouposcore.NewContext(formatParams(group, cose.AlgEdDSA), id, oscore.NewEphemeralSequence(), new(grouposcore.StaticCredentials)); !errors.Is(err, grouposcore.ErrBadCredential) {
					t.Errorf("own: %v", err)
				}
				p := newPair(t, formatParams(group, cose.AlgEdDSA), k, peer, [2]*cose.Credential{of[group][0], creds[1]}, of[group])
				if _, _, err := p.client.ProtectRequest(message.Message{Code: codes.GET}, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{2}}); !errors.Is(err, grouposcore.ErrBadCredential) {
					t.Errorf("the peer's: %v", err)
				}
			})
		}
	}
}

func TestCheckerOfEachCredentialFormat(t *testing.T) {
	t.Parallel()
	for _, s := range signing {
		client, server := formatKey(t, s.crv, "client"), formatKey(t, s.crv, "server")
		servers := deliver(t, "server", server.Public())
		for i, d := range deliver(t, "client", client.Public()) {
			for name, raw := range d.forms {
				t.Run(fmt.Sprintf("GO-12.3-3 %v %s on %v", d.format, name, s.crv), func(t *testing.T) {
					params := formatParams(d.format, s.algs[0])
					sees := [2]*cose.Credential{parse(t, d.format, raw), parse(t, d.format, servers[i].forms[name])}
					request, response := newPair(t, params, client, server, sees, sees).exchange(t, grouposcore.GroupMode, grouposcore.GroupMode)
					key, err := oscore.DeriveKey(cose.AlgHMAC256, params.MasterSecret, nil, []byte{}, params.Gid, params.GroupEnc, "SEKey", 16)
					if err != nil {
						t.Fatal(err)
					}
					creds := new(grouposcore.StaticCredentials)
					creds.Set([]byte{1}, sees[0])
					creds.Set([]byte{2}, sees[1])
					checker, err := grouposcore.NewChecker(grouposcore.CheckerParams{
						Gid: params.Gid, SignatureEncryptionKey: key, GroupEnc: params.GroupEnc, Signature: params.Signature, AEAD: params.AEAD,
						KeyAgreement: params.KeyAgreement, CredentialFormat: d.format, GMCredential: params.GMCredential,
					}, creds)
					if err != nil {
						t.Fatal(err)
					}
					x, from, err := checker.CheckRequest(request)
					if err != nil || !from.Credential.Equal(sees[0]) {
						t.Fatalf("request: %v", err)
					}
					if from, err = checker.CheckResponse(response, x, nil); err != nil || !from.Credential.Equal(sees[1]) {
						t.Fatalf("response: %v", err)
					}
				})
			}
		}
	}
}

// module stands for an HSM that holds an Ed25519 key and can agree with it.
type module struct{ ed25519.PrivateKey }

func (m module) ECDH(_ cose.Curve, peer []byte) ([]byte, error) {
	h := sha512.Sum512(m.Seed())
	own, err := ecdh.X25519().NewPrivateKey(h[:32])
	if err != nil {
		return nil, err
	}
	p, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, err
	}
	return own.ECDH(p)
}

func TestKeysKeptOutside(t *testing.T) {
	t.Parallel()
	hsm := module{ed25519.NewKeyFromSeed(formatKey(t, cose.CurveEd25519, "client").Secret())}
	client, err := cose.NewExternalKey(cose.External{Signer: hsm, Agreement: hsm})
	if err != nil {
		t.Fatal(err)
	}
	server := formatKey(t, cose.CurveEd25519, "server")
	a, err := cose.NewCCS("client", client.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := cose.NewCCS("server", server.Public())
	if err != nil {
		t.Fatal(err)
	}
	sees := [2]*cose.Credential{a, b}
	t.Run("a key in a module serves both modes", func(t *testing.T) {
		p := newPair(t, formatParams(cose.FormatCCS, cose.AlgEdDSA), client, server, sees, sees)
		p.exchange(t, grouposcore.GroupMode, grouposcore.PairwiseMode)
		p.exchange(t, grouposcore.PairwiseMode, grouposcore.GroupMode)
	})
	signer, err := cose.NewExternalKey(cose.External{Signer: hsm})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a group-only group needs no key agreement", func(t *testing.T) {
		params := formatParams(cose.FormatCCS, cose.AlgEdDSA)
		params.AEAD, params.KeyAgreement = 0, 0
		newPair(t, params, signer, server, sees, sees).exchange(t, grouposcore.GroupMode, grouposcore.GroupMode)
	})
	t.Run("a key without key agreement says so in pairwise mode", func(t *testing.T) {
		creds := new(grouposcore.StaticCredentials)
		creds.Set([]byte{2}, b)
		id := grouposcore.Identity{SenderID: []byte{1}, Credential: a, PrivateKey: signer}
		c, err := grouposcore.NewContext(formatParams(cose.FormatCCS, cose.AlgEdDSA), id, oscore.NewEphemeralSequence(), creds)
		if err == nil {
			_, _, err = c.ProtectRequest(message.Message{Code: codes.GET}, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{2}})
		}
		if !errors.Is(err, cose.ErrNoAgreement) {
			t.Error(err)
		}
	})
	t.Run("a pairwise-only group needs no signer", func(t *testing.T) {
		client, err := cose.NewExternalKey(cose.External{Public: client.Public(), Agreement: hsm})
		if err != nil {
			t.Fatal(err)
		}
		newPair(t, formatParams(cose.FormatCCS, 0), client, server, sees, sees).exchange(t, grouposcore.PairwiseMode, grouposcore.PairwiseMode)
	})
}
