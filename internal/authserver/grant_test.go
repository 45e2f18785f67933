package authserver

import (
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestPermit(t *testing.T) {
	t.Parallel()
	grants := []Grant{
		{Audience: "gm1", Group: "room1", Roles: ace.RoleRequester},
		{Audience: "gm1", Pattern: "room*", Roles: ace.RoleResponder},
		{Audience: "gm2", Pattern: "*", Roles: ace.RoleRequester | ace.RoleResponder | ace.RoleMonitor},
		{Audience: "gm1", AdminName: "\x63gp1", Roles: 0b111},
	}
	for name, c := range map[string]struct{ asked, want ace.Scope }{
		"grants add up":                      {ace.Scope{{Group: "room1", Roles: 14}}, ace.Scope{{Group: "room1", Roles: 6}}},
		"a pattern alone":                    {ace.Scope{{Group: "room2", Roles: 14}}, ace.Scope{{Group: "room2", Roles: 4}}},
		"nothing for others":                 {ace.Scope{{Group: "hall", Roles: 14}}, ace.Scope{}},
		"nothing from nothing":               {nil, ace.Scope{}},
		"no roles asked for":                 {ace.Scope{{Group: "room1"}}, ace.Scope{}},
		"administration by exact name":       {ace.Scope{{AdminName: "\x63gp1", Roles: 0b1101}}, ace.Scope{{AdminName: "\x63gp1", Roles: 0b101}}},
		"administration of another name":     {ace.Scope{{AdminName: "\xf5", Roles: 1}}, ace.Scope{}},
		"roles by a grant of administration": {ace.Scope{{Group: "gp1", Roles: 6}}, ace.Scope{}},
	} {
		if got := permit(grants, "gm1", c.asked); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if s := defaultScope(grants, "gm1"); !s.Equal(ace.Scope{{Group: "room1", Roles: 2}}) {
		t.Errorf("default %v", s)
	}
}

func TestGrantValidate(t *testing.T) {
	t.Parallel()
	good := Grant{Audience: "gm1", Group: "g", Roles: 2}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Grant){
		"no audience": func(g *Grant) { g.Audience = "" }, "no name": func(g *Grant) { g.Group = "" },
		"two names": func(g *Grant) { g.Pattern = "*" }, "no roles": func(g *Grant) { g.Roles = 0 },
		"unknown role": func(g *Grant) { g.Roles = 32 }, "admin bit": func(g *Grant) { g.Roles = 3 }, "bad name": func(g *Grant) { g.Group = "a/b" },
		"long pattern":       func(g *Grant) { g.Group, g.Pattern = "", strings.Repeat("*", 256) },
		"admin without list": func(g *Grant) { g.Group, g.AdminName = "", "\xf5" },
	} {
		g := good
		change(&g)
		if err := g.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantErr(t, err, ErrInvalid)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "x", true}, {"", "", true}, {"", "x", false}, {"a", "a", true}, {"a", "ab", false}, {"ab", "a", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abcb", false}, {"*b*", "abc", true}, {"**", "x", true},
		{"room-?", "room-1", true}, {"room-?", "room-12", false}, {"room-?", "room-", false}, {"?", "é", true}, {"*?", "é", true}, {"a*b*c", "a1b2c", true},
		{"a*b*c", "a1c2b", false}, {"*.*.x", "a.b.c.x", true},
	} {
		if got := match(c.pattern, c.name); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
	match(strings.Repeat("a*", 120)+"b", strings.Repeat("a", 255)) // no explosion
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)+len(name) > 1000 {
			return
		}
		got := match(pattern, name)
		if !strings.ContainsAny(pattern, "*?") && got != (pattern == name) {
			t.Fatalf("match(%q, %q) = %v", pattern, name, got)
		}
		if got && !match("*"+pattern, name) {
			t.Fatalf("a star before %q loses %q", pattern, name)
		}
	})
}
