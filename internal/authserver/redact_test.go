package authserver

import (
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/internal/secret/secrettest"
	"github.com/cohort-iot/cohort/keystore"
)

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	t.Run("no field is of a type that fmt can reach", func(t *testing.T) {
		t.Parallel()
		secrettest.Fields(t, ".")
	})
	b := newBench(t)
	remote := must(b.EnrolRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://192.0.2.2", Form: FormNested}))
	_, claims := b.issue(t, b.sw, room1(ace.RoleRequester))
	a := must(b.PeerByID(b.sw.AS.ID))
	var client *clientRecord
	var rs *rsRecord
	var signing *signingRecord
	if err := b.keys.View(func(r keystore.Reader) (err error) {
		if client, err = b.clientNamed(r, "switch"); err != nil {
			return err
		}
		if rs, err = b.rsNamed(r, "gm2"); err != nil {
			return err
		}
		signing, err = loadSigning(r)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	all := [][]byte{
		client.Secret.Bytes(), client.Salt.Bytes(), rs.Secret.Bytes(), rs.Salt.Bytes(), rs.Keys[0].Key.Bytes(), signing.Keys[0].Key.Bytes(),
		b.gm.Key.Key.Bytes(), claims.Cnf.OSC.MasterSecret.Bytes(),
	}
	t.Run("records", func(t *testing.T) {
		t.Parallel()
		secrettest.Printed(t, *client, all...)
		secrettest.Printed(t, *rs, all...)
		secrettest.Printed(t, *signing, all...)
		secrettest.Printed(t, peerRecord{secret: client.Secret, salt: client.Salt}, all...)
		secrettest.Printed(t, issue{
			random: secret.Hide(all[0]), client: client, rs: rs, key: rs.Keys[0].public(), signer: signing.Keys[0], claims: claims, cnf: claims.Cnf,
		}, all...)
	})
	t.Run("what the operator sees", func(t *testing.T) {
		t.Parallel()
		secrettest.Printed(t, *b.sw, all...)
		secrettest.Printed(t, *remote, all...)
		secrettest.Printed(t, must(b.Client("switch")), all...)
		secrettest.Printed(t, must(b.ResourceServers()), all...)
		resp, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		secrettest.Printed(t, *must(b.Inspect(resp.AccessToken)), append(all, resp.Cnf.OSC.MasterSecret.Bytes())...)
	})
	t.Run("the service and what it gives the endpoint", func(t *testing.T) {
		t.Parallel()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} { // Params is of package oscore
			secrettest.Shown(t, verb, fmt.Sprintf(verb, b.Service)+fmt.Sprintf(verb, a)+fmt.Sprintf(verb, *a), all...)
		}
	})
}
