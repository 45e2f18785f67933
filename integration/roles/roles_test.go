package roles

import (
	"strings"
	"testing"
	"time"
)

// atOnce is within how much time a revocation takes effect at the other process:
// far less than the minute between two polls.
const atOnce = 5 * time.Second

func TestAuthorizationServerAndGroupManagerApart(t *testing.T) {
	w := newWorld(t)
	as, gm := w.server("as", asAddr), w.server("gm", gmAddr)

	enroll := func(device, roles string) {
		t.Helper()
		as.must("device", "enroll", device, "--group", "lights:"+roles, "--file", device+".json")
	}
	answered := func(want ...string) {
		t.Helper()
		got := w.ask(len(want))
		for _, device := range want {
			if a := got[device]; a.Mode != "group" || a.Code != "2.05" {
				t.Errorf("%s answered %+v", device, a)
			}
		}
		if len(got) != len(want) {
			t.Errorf("answers %+v, want %v", got, want)
		}
	}
	revoke := func(device string) {
		t.Helper()
		as.must("device", "revoke", device)
		took := w.until(device+" is out of the group", func() bool { _, in := gm.members()[device]; return !in })
		if took > atOnce {
			t.Errorf("%s was put out after %v", device, took)
		}
		t.Logf("%s was put out after %v", device, took.Round(time.Millisecond))
	}

	gm.must("group", "create", "lights")
	as.must("rs", "enroll", "gm1", "--uri", gm.uri(), "--file", "gm1.json")
	gm.must("as", "add", "gm1.json")
	enroll("switch", "requester")
	enroll("lamp1", "responder")
	enroll("lamp2", "responder")
	w.lamp("lamp1", 11)
	w.lamp("lamp2", 12)
	w.must("member", "join", "-e", "switch.json", "-g", "lights", "--roles", "requester",
		"--address", w.groupAddr(), "--listen", "127.0.87.10:0", "--interface", "lo")
	answered("lamp1", "lamp2")
	revoke("lamp2")
	answered("lamp1")

	as.restart()
	as.must("rs", "rotate", "gm1", "--file", "rotated.json")
	gm.must("as", "rotate", "rotated.json")
	var trusted []struct{ Keys int }
	if gm.query(&trusted, "as", "list"); len(trusted) != 1 || trusted[0].Keys != 2 {
		t.Errorf("trusted after the rotation: %+v", trusted)
	}
	enroll("lamp3", "responder")
	w.lamp("lamp3", 13)
	answered("lamp1", "lamp3")

	gm.restart()
	answered("lamp1", "lamp3")
	revoke("lamp3")

	var servers []struct {
		Remote bool   `json:"remote"`
		Alarms uint64 `json:"alarms"`
	}
	if as.query(&servers, "rs", "list"); len(servers) != 1 || servers[0].Alarms != 0 {
		t.Errorf("restarts look like a copied secret: %+v", servers)
	}
	var issuers []struct{ Issuer string }
	gm.query(&issuers, "as", "list")
	gm.must("as", "remove", issuers[0].Issuer)
	enroll("late", "requester")
	out, err := w.run("member", "join", "-e", "late.json", "-g", "lights", "--roles", "requester",
		"--address", w.groupAddr(), "--listen", "127.0.87.14:0", "--interface", "lo")
	if err == nil || !strings.Contains(err.Error(), "its token was rejected") {
		t.Errorf("a device of a server that is trusted no longer joins: %v %s", err, out)
	}
}
