package authserver

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

func TestEnrol(t *testing.T) {
	t.Parallel()
	t.Run("AC-112 each device has a secret and identifiers of its own, and both sides match", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if b.sw.AS.Secret.Equal(b.lamp.AS.Secret.Bytes()) || bytes.Equal(b.sw.AS.ID, b.lamp.AS.ID) || b.sw.AS.Secret.Len() != 16 {
			t.Fatal("shared")
		}
		a := must(b.PeerByID(b.sw.AS.ID))
		d := b.sw.AS.Params()
		if a.Name != "switch" || !bytes.Equal(a.Params.SenderID, d.RecipientID) || !bytes.Equal(a.Params.RecipientID, d.SenderID) ||
			!a.Params.MasterSecret.Equal(d.MasterSecret) || !a.Params.MasterSalt.Equal(d.MasterSalt) || a.Params.Validate() != nil {
			t.Fatalf("association %+v", a)
		}
		if b.sw.GM != "coap://127.0.0.1:5683" || b.sw.Audience != "gm1" || b.sw.AS.URI != "coap://127.0.0.1/token" {
			t.Fatalf("enrolment %+v", b.sw)
		}
	})
	t.Run("the secret survives a restart", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.restart(t)
		if a := must(b.PeerByID(b.sw.AS.ID)); !a.Params.MasterSecret.Equal(b.sw.AS.Secret.Bytes()) {
			t.Fatal("another secret")
		}
	})
	t.Run("names are unique, and plain", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := b.Enrol(t.Context(), EnrolRequest{Name: "switch", Audience: "gm1"})
		wantErr(t, err, ErrExists)
		for _, name := range []string{"", "a b", "a\n", "é", `a"`, strings.Repeat("a", 65)} {
			_, err := b.Enrol(t.Context(), EnrolRequest{Name: name, Audience: "gm1"})
			wantErr(t, err, ErrInvalid)
		}
		_, err = b.Enrol(t.Context(), EnrolRequest{Name: "new", Audience: "gm9"})
		wantErr(t, err, ErrNotFound)
		_, err = b.Enrol(t.Context(), EnrolRequest{Name: "new", Audience: "gm1", Grants: []Grant{{Audience: "gm1"}}})
		wantErr(t, err, ErrInvalid)
		e := must(b.Enrol(t.Context(), EnrolRequest{Name: "new", Audience: "gm1"}))
		if !bytes.Equal(e.AS.ID, []byte{3}) {
			t.Fatalf("a failed enrolment took a number: %x", e.AS.ID)
		}
	})
	t.Run("a device is enrolled again with another secret", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		x := b.Began(b.peer(b.sw))
		e := must(b.Reenrol(t.Context(), "switch"))
		if e.AS.Secret.Equal(b.sw.AS.Secret.Bytes()) || !bytes.Equal(e.AS.ID, b.sw.AS.ID) || len(must(b.Client("switch")).Grants) != 2 {
			t.Fatal("the same secret, or another client")
		}
		wantErr(t, b.Used(t.Context(), x), ErrSuperseded)
		if len(b.events.alarms) != 0 {
			t.Fatal("an alarm for it")
		}
		_, err := b.Reenrol(t.Context(), "nobody")
		wantErr(t, err, ErrNotFound)
	})
	t.Run("identifiers of nobody are not found", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for _, id := range [][]byte{nil, {}, {0}, {9}, {0, 1}, make([]byte, 9)} {
			_, err := b.PeerByID(id)
			wantErr(t, err, ErrNotFound)
		}
	})
	t.Run("clients are listed page by page, without secrets", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		one := must(b.Clients(0, 1))
		two := must(b.Clients(one[0].Number, 5))
		if len(one) != 1 || one[0].Name != "switch" || len(two) != 1 || two[0].Name != "lamp" {
			t.Fatalf("%v, %v", one, two)
		}
	})
	t.Run("nothing but the enrolment holds the secret in the clear", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.issue(t, b.sw, room1(ace.RoleRequester))
		texts := append(b.log(t), fmt.Sprintf("%v %+v %#v", b.Service, must(b.Clients(0, 9)), must(b.PeerByID(b.sw.AS.ID))))
		texts = append(texts, fmt.Sprintf("%v %+v", must(b.ResourceServers()), must(b.TrustedAS("gm1"))))
		err := b.keys.View(func(r keystore.Reader) error {
			c := must(loadClient(r, 1))
			rs := must(b.rsNamed(r, "gm1"))
			texts = append(texts, fmt.Sprintf("%v %+v %v %#v", c, *c, *rs, rs))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range texts {
			for _, key := range [][]byte{b.sw.AS.Secret.Bytes(), b.sw.AS.Salt.Bytes(), b.gm.Key.Key.Bytes()} {
				for _, form := range []string{"%x", "%X", "%v", "%s"} {
					if text := strings.Trim(fmt.Sprintf(form, key), "[]"); strings.Contains(s, text) {
						t.Fatalf("%q is in %q", text, s)
					}
				}
			}
		}
	})
}

func TestSetGrants(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.refused(t, b.lamp, room1(ace.RoleRequester), ace.InvalidScope)
	if err := b.SetGrants(t.Context(), "lamp", []Grant{{Audience: "gm1", Group: "room1", Roles: ace.RoleRequester}}); err != nil {
		t.Fatal(err)
	}
	b.issue(t, b.lamp, room1(ace.RoleRequester))
	b.refused(t, b.lamp, room1(ace.RoleResponder), ace.InvalidScope)
	if log := b.log(t); !strings.Contains(strings.Join(log, "\n"), `"detail":"gm1/room1: requester"`) {
		t.Fatal(log)
	}
	wantErr(t, b.SetGrants(t.Context(), "nobody", nil), ErrNotFound)
	wantErr(t, b.SetGrants(t.Context(), "lamp", make([]Grant, maxGrants+1)), ErrInvalid)
}
