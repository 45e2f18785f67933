package member

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/keystore"
)

// joiner is a group in the middle of a join, without a network.
func joiner(t *testing.T, roles ace.Roles) *Group {
	t.Helper()
	store, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: bytes.Repeat([]byte{1}, keystore.DataKeySize)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	cfg := Config{Enrolment: &ace.Enrolment{Device: "lamp"}, Store: store}
	d := &Device{
		cfg: cfg.withDefaults(), identityTurn: newTurn(), assocTurn: newTurn(),
		identities: map[cose.Curve]*identity{}, groups: map[string]*Group{},
	}
	return newGroup(d, 1, groupRecord{Name: "hall", Roles: uint64(roles)})
}

// joinerWithEndpoint is a joiner that has an address.
func joinerWithEndpoint(t *testing.T, roles ace.Roles) *Group {
	t.Helper()
	g := joiner(t, roles)
	var err error
	g.d.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("10.0.0.2:5683"), Network: netsim.New(netsim.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.d.ep.Close() })
	return g
}

// managerSide makes what a Group Manager with a key gives in a Join Response.
func managerSide(t *testing.T, g *Group, pairwiseOnly bool) (*joined, *cose.PrivateKey) {
	t.Helper()
	key, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := cose.NewCCS("gm", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	j := &joined{nonce: []byte("12345678"), curve: cose.CurveEd25519, created: true, resp: &groupcomm.JoinResponse{}}
	k := &j.resp.Key
	k.CredentialFormat, k.Gid, k.MasterSecret, k.SenderID = cose.FormatCCS, []byte{1}, []byte("secret"), []byte{1}
	if pairwiseOnly {
		k.AEAD, k.KeyAgreement, k.ECDHParams = cose.AlgAESCCM16_64_128, cose.AlgECDHSSHKDF256, groupcomm.SignParams(cose.CurveEd25519)
	} else {
		k.GroupEnc, k.Signature, k.SignParams = cose.AlgAESCCM16_64_128, cose.AlgEdDSA, groupcomm.SignParams(cose.CurveEd25519)
	}
	j.resp.KDC = groupcomm.KDCCred{Credential: cred.Bytes(), Nonce: []byte("abcdefgh")}
	input := groupcomm.KDCPoP(j.nonce, j.resp.KDC.Nonce)
	if pairwiseOnly {
		id, ierr := g.d.identityFor(context.Background(), cose.CurveEd25519)
		if ierr != nil {
			t.Fatal(ierr)
		}
		j.resp.KDC.Evidence, err = groupcomm.MACEvidence(key, id.cred.PublicKey(), input)
	} else {
		j.resp.KDC.Evidence, err = groupcomm.SignEvidence(key, cose.AlgEdDSA, input)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j, key
}

func TestManagersProof(t *testing.T) {
	for name, pairwiseOnly := range map[string]bool{"signature": false, "MAC": true} {
		t.Run("GO-2.1.6-1,KO-JRESP-18,KG-JRESP-11 "+name+" that holds", func(t *testing.T) {
			g := joiner(t, ace.RoleResponder)
			j, _ := managerSide(t, g, pairwiseOnly)
			if err := j.check(t.Context(), g); err != nil {
				t.Error(err)
			}
		})
		for what, spoil := range map[string]func(j *joined){
			"flipped":                  func(j *joined) { j.resp.KDC.Evidence[3] ^= 1 },
			"cut":                      func(j *joined) { j.resp.KDC.Evidence = j.resp.KDC.Evidence[1:] },
			"absent":                   func(j *joined) { j.resp.KDC.Evidence = nil },
			"over another nonce":       func(j *joined) { j.nonce = []byte("87654321") },
			"over another nonce of it": func(j *joined) { j.resp.KDC.Nonce = []byte("hgfedcba") },
			"of another key":           func(j *joined) { j.resp.KDC.Credential = otherCredential() },
			"of no key":                func(j *joined) { j.resp.KDC.Credential = []byte{0xa0} },
		} {
			t.Run("GO-2.1.6-1,KG-JRESP-17,KO-JRESP-19 "+name+" "+what, func(t *testing.T) {
				g := joiner(t, ace.RoleResponder)
				j, _ := managerSide(t, g, pairwiseOnly)
				spoil(j)
				if err := j.check(t.Context(), g); !errors.Is(err, ErrManager) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
	t.Run("KG-JOIN-25 keys on another curve than announced", func(t *testing.T) {
		g := joiner(t, ace.RoleResponder)
		j, _ := managerSide(t, g, false)
		j.curve = cose.CurveP256
		if err := j.check(t.Context(), g); !errors.Is(err, ErrManager) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("KG-PAR-01 a rekeying scheme that the device does not have", func(t *testing.T) {
		g := joiner(t, ace.RoleResponder)
		j, _ := managerSide(t, g, false)
		j.resp.RekeyingScheme = 7
		if err := j.check(t.Context(), g); !errors.Is(err, ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("KO-JRESP-21 credentials of a format that the device does not have", func(t *testing.T) {
		g := joiner(t, ace.RoleResponder)
		j, _ := managerSide(t, g, false)
		j.resp.Key.CredentialFormat = cose.FormatX5Chain
		if err := j.check(t.Context(), g); !errors.Is(err, ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	})
}

func otherCredential() []byte {
	k, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		panic(err)
	}
	c, err := cose.NewCCS("gm", k.Public())
	if err != nil {
		panic(err)
	}
	return c.Bytes()
}

func TestLocationPath(t *testing.T) {
	opts := func(segments ...string) (o message.Options) {
		for _, s := range segments {
			o = append(o, message.Option{ID: message.LocationPath, Value: []byte(s)})
		}
		return o
	}
	if p, err := locationPath("hall", opts("ace-group", "hall", "nodes", "n1")); err != nil || p != "ace-group/hall/nodes/n1" {
		t.Errorf("%q, %v", p, err)
	}
	for _, o := range []message.Options{
		nil, opts("ace-group"), opts("ace-group", "cellar", "nodes", "n1"), opts("ace-group", "hall", "nodes"), opts("ace-group", "hall", "nodes", ""),
		opts("ace-group", "hall", "nodes", "n1", "cred"), opts("ace-group", "hall", "nodes", "../../manage"), opts("manage", "hall", "nodes", "n1"),
	} {
		if p, err := locationPath("hall", o); !errors.Is(err, ErrManager) {
			t.Errorf("%v: %q, %v", o, p, err)
		}
	}
}

func TestJoinRequest(t *testing.T) {
	a := &association{challenge: []byte("challenge")}
	info := &groupcomm.JoinInfo{Sign: &groupcomm.SignInfo{Groups: []string{"hall"}, Algorithm: cose.AlgEdDSA, Params: groupcomm.SignParams(cose.CurveEd25519), CredentialFormat: cose.FormatCCS}}
	read := func(t *testing.T, g *Group, info *groupcomm.JoinInfo) *groupcomm.JoinRequest {
		t.Helper()
		_, b, err := g.joinRequest(t.Context(), a, info)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return nil
		}
		q, err := groupcomm.ParseJoinRequest(b)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	t.Run("KG-JOIN-02,KO-JREQ-01,KG-JOIN-07,KO-JREQ-05,KG-JOIN-06,KG-JOIN-08,KG-JOIN-27 of a responder", func(t *testing.T) {
		g := joinerWithEndpoint(t, ace.RoleResponder)
		q, again := read(t, g, info), read(t, g, info)
		if q.Entry != (ace.ScopeEntry{Group: "hall", Roles: ace.RoleResponder}) || len(q.Nonce) < 8 || q.Credential == nil || len(q.Evidence) != 64 {
			t.Errorf("%+v", q)
		}
		if bytes.Equal(q.Nonce, again.Nonce) || bytes.Equal(q.Evidence, again.Evidence) {
			t.Error("N_C is not fresh")
		}
		cred, err := cose.ParseCredential(cose.FormatCCS, q.Credential)
		if err != nil {
			t.Fatal(err)
		}
		if err := groupcomm.VerifySignature(cred.PublicKey(), cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, a.challenge, q.Nonce), q.Evidence); err != nil {
			t.Error(err)
		}
		if q.GetCreds == nil || q.GetCreds.Select {
			t.Errorf("get_creds %+v", q.GetCreds)
		}
	})
	t.Run("KO-JREQ-06 of a monitor", func(t *testing.T) {
		q := read(t, joinerWithEndpoint(t, ace.RoleMonitor), info)
		if q.Credential != nil || q.Evidence != nil {
			t.Errorf("%+v", q)
		}
	})
	t.Run("KO-JPROC-15 without parameters: an empty one, which asks for them", func(t *testing.T) {
		if q := read(t, joinerWithEndpoint(t, ace.RoleResponder), &groupcomm.JoinInfo{}); q != nil {
			t.Errorf("%+v", q)
		}
	})
	t.Run("KO-JREQ-12,KO-JREQ-16 a new challenge takes the place of the one before", func(t *testing.T) {
		a := &association{challenge: []byte("old")}
		a.renewChallenge(nil)
		if string(a.challenge) != "old" {
			t.Error("lost")
		}
		a.renewChallenge([]byte("new"))
		if string(a.challenge) != "new" {
			t.Error("not taken")
		}
	})
}
