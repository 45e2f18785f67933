package coap_test

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// checkKDC verifies the Group Manager's proof.
func checkKDC(t *testing.T, payload, nonce []byte) {
	t.Helper()
	k, err := groupcomm.ParseKDCCred(payload)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := cose.ParseCredential(cose.FormatCCS, k.Credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := groupcomm.VerifySignature(cred.PublicKey(), cose.AlgEdDSA, groupcomm.KDCPoP(nonce, k.Nonce), k.Evidence); err != nil {
		t.Fatal(err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	j, home := d.join("g1", responder)
	s.restart()
	t.Run("the association is gone: 4.01 in clear", func(t *testing.T) {
		_, err := d.ask(d.gmProt, codes.GET, home, 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
	t.Run("KG-REKEY-23 with the token posted again the device is the member it was, under new keys", func(t *testing.T) {
		d.postToken()
		resp := d.must(d.gmProt, codes.GET, home, 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || k.Version != 1 || string(k.Key.SenderID) != string(j.Key.SenderID) || string(k.Key.Gid) == string(j.Key.Gid) {
			t.Fatal(k, err)
		}
	})
	t.Run("rekeying messages reach it again", func(t *testing.T) {
		s.restartKeeping()
		d.wait(1)
		if m := d.rekeys[0]; m.Version != 2 {
			t.Fatal(m.Version)
		}
	})
	t.Run("after a restart that keeps associations the first request is challenged and then served", func(t *testing.T) {
		resp := d.must(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
		if v, err := groupcomm.ParseNum(resp.Payload); err != nil || v != 2 {
			t.Fatal(v, err)
		}
	})
}

// restartKeeping restarts the site as if an anchor showed that its store is the newest.
func (s *site) restartKeeping() {
	s.keep = true
	s.restart()
}
