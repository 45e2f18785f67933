package manager

import (
	"bytes"
	"context"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

func TestRejoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, first := w.lamp("a", "g1")
	again := func(t *testing.T, rig func(q *groupcomm.JoinRequest)) *JoinResult {
		t.Helper()
		res, err := a.tryJoin("g1", responder, rig)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	t.Run("KO-SID-04,KG-JOIN-22 another Sender ID, the same node", func(t *testing.T) {
		res := again(t, nil)
		if res.Created || res.Node != first.Node || bytes.Equal(res.Response.Key.SenderID, first.Response.Key.SenderID) {
			t.Fatalf("%+v", res)
		}
	})
	t.Run("KO-JREQ-07,KG-JOIN-28,KG-JOIN-17 without evidence, with client_cred or with an empty one", func(t *testing.T) {
		again(t, func(q *groupcomm.JoinRequest) { q.Evidence = nil })
		again(t, func(q *groupcomm.JoinRequest) { q.Evidence, q.Credential = nil, []byte{} })
	})
	t.Run("KO-JPROC-02 without evidence and without client_cred, or with another one", func(t *testing.T) {
		_, err := a.tryJoin("g1", responder, func(q *groupcomm.JoinRequest) { q.Evidence, q.Credential = nil, nil })
		wantKind(t, err, KindJoinInfo)
		other := w.device("other", cose.CurveEd25519)
		_, err = a.tryJoin("g1", responder, func(q *groupcomm.JoinRequest) { q.Evidence, q.Credential = nil, other.cred.Bytes() })
		wantKind(t, err, KindJoinInfo)
	})
	t.Run("KG-JOIN-20,KG-JOIN-29,KG-JOIN-19,KO-SID-05 a new credential replaces the old one", func(t *testing.T) {
		fresh := w.device("fresh", cose.CurveEd25519)
		a.key, a.cred = fresh.key, fresh.cred
		res := again(t, nil)
		creds, _, err := w.Credentials(ctx, a.caller, "g1", nil)
		if err != nil || len(creds.Peers) != 1 || !bytes.Equal(creds.Peers[0].Credential, fresh.cred.Bytes()) || !bytes.Equal(creds.Peers[0].SenderID, res.Response.Key.SenderID) {
			t.Fatal(creds, err)
		}
	})
	t.Run("with other roles", func(t *testing.T) {
		res, err := a.tryJoin("g1", requester|responder, nil)
		if err != nil || res.Created {
			t.Fatal(err)
		}
		m, err := w.Member(ctx, "g1", res.Node)
		if err != nil || m.Roles != requester|responder {
			t.Fatal(m, err)
		}
	})
	if g := w.info("g1"); g.Members != 1 {
		t.Fatal(g.Members)
	}
}

func TestProofSeenElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	w.group("g2", nil)
	a := w.device("a", cose.CurveEd25519, entry("g1", responder), entry("g2", responder))
	a.join("g1", responder)
	t.Run("KO-JREQ-08 empty evidence for a key whose possession was proved", func(t *testing.T) {
		res, err := a.tryJoin("g2", responder, func(q *groupcomm.JoinRequest) { q.Evidence = []byte{} })
		if err != nil || !res.Created {
			t.Fatal(err)
		}
	})
}

func TestPairwiseOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("pw", func(c *GroupConfig) { c.Modes = PairwiseOnly })
	a := w.device("a", cose.CurveX25519, entry("pw", requester))
	res := a.join("pw", requester)
	j := res.Response
	t.Run("KO-JRESP-06,KO-JRESP-07 only the pairwise mode has algorithms", func(t *testing.T) {
		k := j.Key
		if k.GroupEnc != 0 || k.Signature != 0 || k.SignParams != nil || k.AEAD == 0 || !k.ECDHParams.Equal(groupcomm.Params{{1}, {1, 4}}) {
			t.Fatalf("%+v", k)
		}
	})
	t.Run("KO-JRESP-15,KO-JREQ-10,KO-JREQ-11 evidence is a MAC both ways", func(t *testing.T) {
		if len(j.KDC.Evidence) != 8 {
			t.Fatal(len(j.KDC.Evidence))
		}
		gm, err := cose.ParseCredential(cose.FormatCCS, j.KDC.Credential)
		if err != nil {
			t.Fatal(err)
		}
		k, err := w.KDCCred(ctx, a.caller, "pw")
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.memberChallenge(a.caller, "pw")
		if err != nil {
			t.Fatal(err)
		}
		if err := groupcomm.VerifyMAC(a.key, gm.PublicKey(), groupcomm.KDCPoP(m, k.Nonce), k.Evidence); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("KO-JPROC-13 the information has the DH credential", func(t *testing.T) {
		_, err := w.Join(ctx, a.caller, "pw", nil)
		var e *Error
		if !asError(err, &e) {
			t.Fatal(err)
		}
		i, err := groupcomm.ParseJoinInfo(e.Info)
		if err != nil || i.Sign != nil || i.ECDH == nil || i.KDCDH == nil || !bytes.Equal(i.KDCDH.Credential, j.KDC.Credential) {
			t.Fatal(i, err)
		}
	})
	t.Run("KO-JPROC-04 a wrong MAC", func(t *testing.T) {
		b := w.device("b", cose.CurveX25519, entry("pw", requester))
		_, err := b.tryJoin("pw", requester, func(q *groupcomm.JoinRequest) { q.Evidence[7] ^= 1 })
		wantKind(t, err, KindProof)
	})
	t.Run("KO-RES-03 nothing for verifiers", func(t *testing.T) {
		v := w.device("v", 0, entry("pw", verifier))
		_, err := w.VerificationData(ctx, v.caller, "pw")
		wantKind(t, err, KindNoSignatures)
		_, err = w.VerifierKDCCred(ctx, v.caller, "pw", groupcomm.KDCCredRequest{Nonce: make([]byte, 8)}.Marshal())
		wantKind(t, err, KindNoSignatures)
	})
	t.Run("a monitor has nothing to listen to", func(t *testing.T) {
		m := w.device("m", 0, entry("pw", monitor))
		_, err := m.tryJoin("pw", monitor, nil)
		wantKind(t, err, KindJoinInfo)
	})
}

// memberChallenge reads what a member's latest Join Request had as nonce.
func (w *world) memberChallenge(c Caller, group string) (nonce []byte, err error) {
	err = w.view(func(r reader) error {
		a, err := r.access(c, group, w.Service.clock.Now())
		if err == nil {
			nonce = a.member.Challenge
		}
		return err
	})
	return nonce, err
}

func TestSignatureOnlyAndNIST(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("so", func(c *GroupConfig) { c.Modes = GroupModeOnly; c.HKDF = cose.AlgHMAC512 })
	a := w.device("a", cose.CurveEd25519, entry("so", requester))
	k := a.join("so", requester).Response.Key
	t.Run("KO-JRESP-07,KO-JRESP-04 only the group mode has algorithms; hkdf is told when it is no default", func(t *testing.T) {
		if k.AEAD != 0 || k.KeyAgreement != 0 || k.ECDHParams != nil || k.Signature != cose.AlgEdDSA || k.HKDF != cose.AlgHMAC512 {
			t.Fatalf("%+v", k)
		}
	})
	for alg, crv := range map[cose.Algorithm]cose.Curve{cose.AlgES256: cose.CurveP256, cose.AlgES384: cose.CurveP384, cose.AlgES512: cose.CurveP521} {
		name := alg.String()
		w.group(name, func(c *GroupConfig) { c.Signature = alg })
		d := w.device("d"+name, crv, entry(name, responder))
		k := d.join(name, responder).Response.Key
		t.Run("KO-PAR-08,KO-PAR-09,KO-SID-05 "+name+" has its curve in both modes", func(t *testing.T) {
			if c, ok := k.SignParams.Curve(); !ok || c != crv {
				t.Fatalf("%+v", k)
			}
			if c, ok := k.ECDHParams.Curve(); !ok || c != crv {
				t.Fatalf("%+v", k)
			}
		})
	}
}

func TestCredentialUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, j := w.lamp("a", "g1")
	update := func(rig func(u *groupcomm.CredentialUpdate)) error {
		u := &groupcomm.CredentialUpdate{Credential: a.cred.Bytes(), Nonce: []byte("new nonc")}
		scope := groupcomm.EncodeScope(entry("g1", responder))
		u.Evidence = a.evidence("g1", groupcomm.ClientPoP(scope, a.ns, u.Nonce))
		if rig != nil {
			rig(u)
		}
		return w.UpdateCredential(ctx, a.caller, "g1", j.Node, u.Marshal())
	}
	fresh := w.device("fresh", cose.CurveEd25519)
	a.key, a.cred = fresh.key, fresh.cred
	t.Run("KG-CRED-02,KG-CRED-07,KO-OPS-16,KO-OPS-26 the new credential stands under the same Sender ID", func(t *testing.T) {
		if err := update(nil); err != nil {
			t.Fatal(err)
		}
		creds, _, err := w.Credentials(ctx, a.caller, "g1", nil)
		if err != nil || !bytes.Equal(creds.Peers[0].Credential, fresh.cred.Bytes()) || !bytes.Equal(creds.Peers[0].SenderID, j.Response.Key.SenderID) {
			t.Fatal(creds, err)
		}
	})
	t.Run("KG-CRED-06,KO-OPS-27 wrong or empty evidence", func(t *testing.T) {
		wantKind(t, update(func(u *groupcomm.CredentialUpdate) { u.Evidence[0] ^= 1 }), KindProof)
		wantKind(t, update(func(u *groupcomm.CredentialUpdate) { u.Evidence = []byte{} }), KindProof)
	})
	t.Run("KG-CRED-05 credential that does not fit", func(t *testing.T) {
		nist := w.device("nist", cose.CurveP256)
		wantKind(t, update(func(u *groupcomm.CredentialUpdate) { u.Credential = nist.cred.Bytes() }), KindCredential)
	})
	t.Run("KG-ERR-04 garbage", func(t *testing.T) {
		wantKind(t, w.UpdateCredential(ctx, a.caller, "g1", j.Node, []byte{0xa0}), KindMalformed)
	})
	t.Run("KO-OPS-14,KG-CRED-03 not for a monitor", func(t *testing.T) {
		m := w.device("m", 0, entry("g1", monitor))
		jm := m.join("g1", monitor)
		wantKind(t, w.UpdateCredential(ctx, m.caller, "g1", jm.Node, nil), KindRole)
	})
	t.Run("KG-CRED-09 not by others", func(t *testing.T) {
		x := w.device("x", cose.CurveEd25519, entry("g1", responder))
		wantKind(t, w.UpdateCredential(ctx, x.caller, "g1", j.Node, nil), KindNotMember)
		x.join("g1", responder)
		wantKind(t, w.UpdateCredential(ctx, x.caller, "g1", j.Node, nil), KindForbidden)
	})
	t.Run("KG-CRED-04 the challenge was lost", func(t *testing.T) {
		err := w.update(ctx, func(t *txn) error {
			cl, tok, err := t.caller(a.caller, t.now)
			if err != nil {
				return err
			}
			tok.Challenge = nil
			return t.putClient(cl)
		})
		if err != nil {
			t.Fatal(err)
		}
		err = update(nil)
		var e *Error
		if !asError(err, &e) || e.Kind != KindJoinInfo {
			t.Fatal(err)
		}
		if i, err := groupcomm.ParseJoinInfo(e.Info); err != nil || len(i.Challenge) != challengeSize {
			t.Fatal(i, err)
		}
	})
	t.Run("KO-OPS-13 not in an inactive group", func(t *testing.T) {
		if err := w.SetActive(ctx, "g1", false); err != nil {
			t.Fatal(err)
		}
		wantKind(t, update(nil), KindInactive)
	})
}

func TestCredentialsFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	ids := map[string][]byte{}
	join := func(name string, r ace.Roles) *device {
		d := w.device(name, cose.CurveEd25519, entry("g1", r))
		ids[name] = d.join("g1", r).Response.Key.SenderID
		return d
	}
	rq := join("rq", requester)
	join("rs", responder)
	join("both", requester|responder)
	ask := func(f groupcomm.CredsFilter) map[string]bool {
		t.Helper()
		out, found, err := w.Credentials(ctx, rq.caller, "g1", (&groupcomm.CredsRequest{Filter: f}).Marshal())
		if err != nil || found != (len(out.Peers) > 0) {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, p := range out.Peers {
			for name, id := range ids {
				if bytes.Equal(id, p.SenderID) {
					got[name] = true
				}
			}
		}
		return got
	}
	check := func(t *testing.T, got map[string]bool, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for _, n := range want {
			if !got[n] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	sel := func(include bool, roles []ace.Roles, names ...string) groupcomm.CredsFilter {
		f := groupcomm.CredsFilter{Select: true, Include: include, Roles: roles}
		for _, n := range names {
			f.IDs = append(f.IDs, ids[n])
		}
		return f
	}
	t.Run("KG-GET-07,KG-JOIN-05,KO-JREQ-04 roles or listed", func(t *testing.T) {
		check(t, ask(sel(true, []ace.Roles{responder}, "rq")), "rq", "rs", "both")
	})
	t.Run("KG-GET-08 roles and not listed", func(t *testing.T) {
		check(t, ask(sel(false, []ace.Roles{responder}, "both")), "rs")
	})
	t.Run("KG-GET-09 one filter alone", func(t *testing.T) {
		check(t, ask(sel(true, []ace.Roles{requester | responder})), "both")
		check(t, ask(sel(true, nil, "rs", "rs")), "rs")
		check(t, ask(sel(false, nil, "rs")), "rq", "both")
	})
	t.Run("KO-RES-09 one who may join but has not sees no credentials", func(t *testing.T) {
		x := w.device("x", cose.CurveEd25519, entry("g1", responder))
		_, _, err := w.Credentials(ctx, x.caller, "g1", nil)
		wantKind(t, err, KindForbidden)
	})
	t.Run("KG-GET-10,GO-12.1-2 all, with the version", func(t *testing.T) {
		out, found, err := w.Credentials(ctx, rq.caller, "g1", nil)
		if err != nil || !found || len(out.Peers) != 3 || out.Version != 0 {
			t.Fatal(out, err)
		}
	})
}

func TestNonMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	_, j := w.lamp("a", "g1")
	x := w.device("x", cose.CurveEd25519, entry("g1", responder))
	c := x.caller
	t.Run("KG-GET-01 material", func(t *testing.T) { _, err := w.Material(ctx, c, "g1"); wantKind(t, err, KindNotMember) })
	t.Run("KG-GET-15 policies", func(t *testing.T) { _, err := w.Policies(ctx, c, "g1"); wantKind(t, err, KindNotMember) })
	t.Run("KG-GET-17 num", func(t *testing.T) { _, err := w.Num(ctx, c, "g1"); wantKind(t, err, KindNotMember) })
	t.Run("KO-RES-04 active", func(t *testing.T) { _, err := w.Active(ctx, c, "g1"); wantKind(t, err, KindNotMember) })
	t.Run("KO-OPS-17 kdc-cred", func(t *testing.T) { _, err := w.KDCCred(ctx, c, "g1"); wantKind(t, err, KindNotMember) })
	t.Run("KG-NODE-02 node", func(t *testing.T) {
		_, err := w.NodeMaterial(ctx, c, "g1", j.Node)
		wantKind(t, err, KindNotMember)
	})
	t.Run("KG-NODE-15 leaving", func(t *testing.T) { wantKind(t, w.Leave(ctx, c, "g1", j.Node), KindNotMember) })
	t.Run("KO-RES-02 verification data", func(t *testing.T) {
		_, err := w.VerificationData(ctx, c, "g1")
		wantKind(t, err, KindVerifiersOnly)
	})
	t.Run("KG-GNAME-06 but which group has a Gid", func(t *testing.T) {
		out, err := w.Gids(ctx, c, (&groupcomm.GidsRequest{Gids: [][]byte{w.info("g1").Gid}}).Marshal())
		if err != nil || len(out.Groups) != 1 {
			t.Fatal(err)
		}
	})
}
