package coap_test

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
)

func TestAssociationsAreApart(t *testing.T) {
	t.Parallel()
	t.Run("AC-055,AC-019,TR-TRL-03 an association with the Group Manager is none with the Authorization Server at the same address, and nothing in clear is", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		d := s.thing("switch", grant("g1", ace.RoleRequester))
		d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: ace.RoleRequester})
		d.postToken()
		d.join("g1", ace.RoleRequester)
		asked := (&ace.IntrospectionRequest{Token: d.token.AccessToken}).Marshal()
		for name, sec := range map[string]endpoint.Protector{"with the Group Manager": d.gmProt, "in clear": nil} {
			for path, body := range map[string][]byte{"/token": {0xa0}, "/introspect": asked, "/revoke/trl": nil} {
				code := codes.POST
				if body == nil {
					code = codes.GET
				}
				resp, err := d.ask(sec, code, path, ace.ContentFormatACE, body)
				if err != nil || resp.Code != codes.Unauthorized || sec != nil && len(resp.Payload) != 0 {
					t.Errorf("%s, %s: %v, %v", path, name, resp, err)
				}
			}
		}
	})
}
