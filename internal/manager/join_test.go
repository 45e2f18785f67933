package manager

import (
	"bytes"
	"context"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d := w.device("switch", cose.CurveEd25519, entry("g1", requester|responder))
	payload := d.request("g1", requester|responder, nil)
	q, err := groupcomm.ParseJoinRequest(payload)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.Join(context.Background(), d.caller, "g1", payload)
	if err != nil {
		t.Fatal(err)
	}
	// What the member sees is what travels.
	j, err := groupcomm.ParseJoinResponse(res.Response.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	g := w.info("g1")
	t.Run("KG-JOIN-18,KG-IF-07 a new member gets a node name of its own", func(t *testing.T) {
		if !res.Created || res.Node == "" {
			t.Fatalf("%+v", res)
		}
		_, other := w.lamp("lamp", "g1")
		if other.Node == res.Node {
			t.Fatal("two members have one node name")
		}
	})
	t.Run("KO-JRESP-02 key has Master Secret, Gid and credential format", func(t *testing.T) {
		if len(j.Key.MasterSecret) != masterSecretSize || !bytes.Equal(j.Key.Gid, g.Gid) || j.Key.CredentialFormat != cose.FormatCCS {
			t.Fatalf("%+v", j.Key)
		}
	})
	t.Run("KO-JRESP-06,KO-JRESP-07,KO-JRESP-08 both modes have their algorithms", func(t *testing.T) {
		k := j.Key
		if k.GroupEnc != cose.AlgAESCCM16_64_128 || k.Signature != cose.AlgEdDSA || !k.SignParams.Equal(groupcomm.Params{{1}, {1, 6}}) {
			t.Fatalf("group mode: %+v", k)
		}
		if k.AEAD != cose.AlgAESCCM16_64_128 || k.KeyAgreement != cose.AlgECDHSSHKDF256 || !k.ECDHParams.Equal(groupcomm.Params{{1}, {1, 4}}) {
			t.Fatalf("pairwise mode: %+v", k)
		}
	})
	t.Run("KO-JRESP-09,KG-JRESP-01,KG-JRESP-02 exi and exp are there", func(t *testing.T) {
		if j.Expiry.In != 86400 || j.Expiry.At != uint64(start.Unix())+86400 {
			t.Fatalf("%+v", j.Expiry)
		}
	})
	t.Run("KO-JRESP-12 policies have the check interval and the expiration delta", func(t *testing.T) {
		if j.Policies == nil || *j.Policies != groupcomm.DefaultPolicies() {
			t.Fatalf("%+v", j.Policies)
		}
	})
	t.Run("KO-JRESP-13,KO-JRESP-14,KO-JRESP-15,KG-JRESP-10,KG-JRESP-11 the Group Manager proves its key", func(t *testing.T) {
		gm, err := cose.ParseCredential(j.Key.CredentialFormat, j.KDC.Credential)
		if err != nil {
			t.Fatal(err)
		}
		if err := groupcomm.VerifySignature(gm.PublicKey(), j.Key.Signature, groupcomm.KDCPoP(q.Nonce, j.KDC.Nonce), j.KDC.Evidence); err != nil || len(j.KDC.Nonce) < 8 {
			t.Fatal(err)
		}
	})
	t.Run("KO-RKOV-02 the version is 0 at creation", func(t *testing.T) {
		if j.Version != 0 {
			t.Fatal(j.Version)
		}
	})
	t.Run("KO-SID-01,KO-JRESP-03 one who sends gets a Sender ID", func(t *testing.T) {
		if len(j.Key.SenderID) == 0 {
			t.Fatal("no Sender ID")
		}
	})
}

func TestJoinMonitor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	w.lamp("lamp", "g1")
	d := w.device("ear", 0, entry("g1", monitor))
	res := d.join("g1", monitor)
	t.Run("KO-SID-01,KO-JRESP-03,KO-CRED-03 a monitor has no Sender ID", func(t *testing.T) {
		if res.Response.Key.SenderID != nil {
			t.Fatal("a Sender ID")
		}
	})
	t.Run("KO-CRED-02,KO-JREQ-06 client_cred and evidence of a monitor are ignored", func(t *testing.T) {
		res, err := d.tryJoin("g1", monitor, func(q *groupcomm.JoinRequest) { q.Credential, q.Evidence = []byte{1}, []byte{2} })
		if err != nil || res.Created {
			t.Fatal(res, err)
		}
		peers, _, err := w.Credentials(context.Background(), d.caller, "g1", nil)
		if err != nil || len(peers.Peers) != 1 {
			t.Fatal("a monitor appears among the credentials", err)
		}
	})
}

func TestJoinRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	w.group("g2", nil)
	w.group("nist", func(c *GroupConfig) { c.Signature = cose.AlgES256 })
	ctx := context.Background()
	d := w.device("switch", cose.CurveEd25519, entry("g1", requester), entry("g3", requester), entry("nist", requester))
	v := w.device("checker", 0, entry("g1", verifier))

	info := func(t *testing.T, err error) *groupcomm.JoinInfo {
		t.Helper()
		wantKind(t, err, KindJoinInfo)
		var e *Error
		if !asError(err, &e) {
			t.Fatal(err)
		}
		j, err := groupcomm.ParseJoinInfo(e.Info)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	t.Run("KG-ERR-01 no token", func(t *testing.T) {
		_, err := w.Join(ctx, Caller{Client: 99, Association: 99}, "g1", nil)
		wantKind(t, err, KindUnauthorized)
	})
	t.Run("KG-ERR-02 a group that the token does not name", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "g2", d.request("g2", requester, nil))
		wantKind(t, err, KindForbidden)
	})
	t.Run("a group that does not exist", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "g3", nil)
		wantKind(t, err, KindNotFound)
	})
	t.Run("KO-RES-10 a verifier cannot join", func(t *testing.T) {
		_, err := w.Join(ctx, v.caller, "g1", nil)
		wantKind(t, err, KindForbidden)
	})
	t.Run("KO-JPROC-12,KO-JPROC-13,KO-JPROC-15 an empty request gets the parameters", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "g1", nil)
		j := info(t, err)
		if j.Sign == nil || j.ECDH == nil || j.KDCDH != nil || j.Challenge != nil || j.Sign.Groups[0] != "g1" {
			t.Fatalf("%+v", j)
		}
	})
	t.Run("KG-ERR-04,KO-JPROC-07 garbage and a missing scope", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "g1", []byte{0xff})
		info(t, err)
		_, err = w.Join(ctx, d.caller, "g1", []byte{0xa1, 6, 0x48, 1, 2, 3, 4, 5, 6, 7, 8})
		info(t, err)
	})
	t.Run("KG-JOIN-07 a missing nonce", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Nonce = nil })
		info(t, err)
	})
	t.Run("KO-JPROC-07,KO-JREQ-02 monitor with another role", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester|monitor, nil)
		info(t, err)
		_, err = d.tryJoin("g1", responder|monitor, nil)
		info(t, err)
	})
	t.Run("scope of another group", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "g1", d.request("nist", requester, nil))
		info(t, err)
	})
	t.Run("KG-JOIN-13 roles beyond the token", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester|responder, nil)
		wantKind(t, err, KindForbidden)
	})
	t.Run("KO-JPROC-08,KO-JPROC-10,KG-JOIN-06,KG-JOIN-27 credential or evidence is missing", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Credential, q.Evidence = nil, nil })
		info(t, err)
		_, err = d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Evidence = nil })
		info(t, err)
		_, err = d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Credential = []byte{} })
		info(t, err)
	})
	t.Run("KG-JOIN-15,KO-JPROC-09,GO-D-1 credential on another curve", func(t *testing.T) {
		_, err := w.Join(ctx, d.caller, "nist", d.request("nist", requester, nil))
		wantKind(t, err, KindCredential)
	})
	t.Run("KG-JOIN-15 credential that is none", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Credential = []byte{0xa0} })
		wantKind(t, err, KindCredential)
	})
	t.Run("KG-JOIN-16,KO-JPROC-16,KO-JPROC-04,GO-12.1-1 evidence that does not verify", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Evidence[3] ^= 1 })
		wantKind(t, err, KindProof)
		_, err = d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Nonce = bytes.Repeat([]byte{9}, 8) })
		wantKind(t, err, KindProof)
	})
	t.Run("KO-JPROC-03 empty evidence without an earlier proof", func(t *testing.T) {
		_, err := d.tryJoin("g1", requester, func(q *groupcomm.JoinRequest) { q.Evidence = []byte{} })
		wantKind(t, err, KindProof)
	})
	t.Run("KO-JPROC-06 inactive group", func(t *testing.T) {
		if err := w.SetActive(ctx, "nist", false); err != nil {
			t.Fatal(err)
		}
		_, err := w.Join(ctx, d.caller, "nist", d.request("nist", requester, nil))
		wantKind(t, err, KindInactive)
		_, err = w.Join(ctx, d.caller, "nist", nil)
		info(t, err)
	})
	t.Run("no refusal made a member", func(t *testing.T) {
		for _, g := range []string{"g1", "g2", "nist"} {
			if n := w.info(g).Members; n != 0 {
				t.Fatalf("%s has %d members", g, n)
			}
		}
	})
}
