package authserver

import (
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	policy := Policy{Name: "lamps", Devices: "lamp*", Grants: []Grant{{Audience: "gm1", Pattern: "hall-*", Roles: ace.RoleResponder}}}
	t.Run("AC-021 what a policy grants to devices of a form is granted, and nothing else", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleResponder)
		q.Scope[0].Group = "hall-2"
		b.refused(t, b.lamp, q, ace.InvalidScope)
		if err := b.SetPolicy(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		b.restart(t)
		b.issueFor(t, b.lamp, q)
		late := must(b.Enrol(t.Context(), EnrolRequest{Name: "lamp-9", Audience: "gm1"}))
		b.issueFor(t, late, q)
		b.refused(t, b.sw, q, ace.InvalidScope)
		q.Scope[0].Roles = ace.RoleRequester
		b.refused(t, b.lamp, q, ace.InvalidScope)
	})
	t.Run("they are listed, replaced and removed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		other := policy
		other.Name = "others"
		changed := policy
		changed.Devices = "x*"
		for _, p := range []Policy{policy, other, changed} {
			if err := b.SetPolicy(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if list := must(b.Policies()); len(list) != 2 || list[0].Devices != "x*" || list[1].Name != "others" {
			t.Fatal(list)
		}
		if err := b.RemovePolicy(t.Context(), "lamps"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.RemovePolicy(t.Context(), "lamps"), ErrNotFound)
		if list := must(b.Policies()); len(list) != 1 {
			t.Fatal(list)
		}
		log := b.log(t)
		if !strings.Contains(log[len(log)-1], `"policy.removed"`) || !strings.Contains(log[len(log)-2], `"policy.set"`) {
			t.Fatal(log)
		}
	})
	t.Run("what cannot be is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for _, p := range []Policy{{Devices: "*"}, {Name: "x"}, {Name: "x", Devices: "*", Grants: []Grant{{}}}, {Name: "x", Devices: strings.Repeat("a", 65)}} {
			wantErr(t, b.SetPolicy(t.Context(), p), ErrInvalid)
		}
		for i := range maxPolicies + 1 {
			err := b.SetPolicy(t.Context(), Policy{Name: "p" + strings.Repeat("x", i%60) + string(rune('a'+i/60)), Devices: "*"})
			if (err == nil) != (i < maxPolicies) {
				t.Fatal(i, err)
			}
		}
	})
}
