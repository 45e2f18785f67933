package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/manager"
)

// switchArgs are the flags of the switch.
func (s *site) switchArgs(file string, args ...string) []string {
	return append(args, "-e", file, "-g", "hall")
}

func (s *site) joinSwitch() string {
	s.t.Helper()
	file := s.enrol("switch", ace.RoleRequester)
	out := s.must("join", "-e", file, "-g", "hall", "--roles", "requester", "--address", s.group.String(), "--listen", "127.0.0.2:0", "--interface", s.iface)
	if !regexp.MustCompile(`switch +hall +requester +\S+ +\S+ +0 `).MatchString(out) {
		s.t.Errorf("join says\n%s", out)
	}
	return file
}

type answersJSON struct {
	Answers []answerInfo `json:"answers"`
}

func TestVerbs(t *testing.T) {
	s := newSite(t)
	l1, l2 := s.lamp("lamp-1", "11"), s.lamp("lamp-2", "12", "--pairwise-answers", "-r", "/light=dim", "-r", "/name=two")
	file := s.joinSwitch()

	var got answersJSON
	s.check(json.Unmarshal([]byte(s.must(s.switchArgs(file, "get", "/light", "--expect", "2", "-o", "json")...)), &got))
	by := map[string]answerInfo{}
	for _, a := range got.Answers {
		by[a.From.Name] = a
	}
	if a := by["lamp-1"]; a.Payload != "off" || a.PayloadHex != "6f6666" || a.Mode != "group" || a.Code != "2.05" || a.From.Roles != "responder" {
		t.Errorf("lamp-1: %+v", a)
	}
	if a := by["lamp-2"]; a.Payload != "dim" || a.Mode != "pairwise" {
		t.Errorf("lamp-2: %+v", a)
	}

	// The first request has found out where the lamps are.
	if out := s.must(s.switchArgs(file, "put", "/light", "on", "--to", "lamp-1")...); !regexp.MustCompile(`lamp-1 +\S+ +pairwise +2\.04`).MatchString(out) {
		t.Errorf("put says\n%s", out)
	}
	s.await(l1, `/light set to "on" by switch, pairwise`)
	out := s.must(s.switchArgs(file, "get", "/light", "--expect", "1", "--to", "lamp-1")...)
	if !strings.Contains(out, " on ") {
		t.Errorf("get says\n%s", out)
	}

	for _, verb := range [][]string{{"post", "/light", "x"}, {"fetch", "/light", "x", "--content-format", "60"}, {"delete", "/light"}} {
		out := s.must(s.switchArgs(file, append(verb, "--to", "lamp-1")...)...)
		if !strings.Contains(out, "4.05") {
			t.Errorf("%s says\n%s", verb[0], out)
		}
	}
	if out := s.must(s.switchArgs(file, "get", "/nothing?a=b", "--to", "lamp-1")...); !strings.Contains(out, "4.04") {
		t.Errorf("get of nothing says\n%s", out)
	}

	// A lamp that joined after the switch, at an address that is told.
	l3 := s.lamp("lamp-3", "13")
	addr := regexp.MustCompile(`serves on (\S+)`).FindStringSubmatch(l3.out.String())[1]
	s.must(s.switchArgs(file, "get", "/light", "--to", "lamp-3@"+addr)...)

	// Too few answers, none, nobody there.
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"get", "/light", "--expect", "4", "--wait", "500ms"}, cli.ExitPartial, "3 of 4 answers came"},
		{[]string{"get", "/nothing", "--wait", "200ms"}, cli.ExitPartial, "0 of 1 answers came"},
		{[]string{"get", "/light", "--to", "lamp-1@127.0.0.99:9", "--wait", "300ms"}, cli.ExitPartial, "no answer of lamp-1 at 127.0.0.99:9"},
		{[]string{"get", "/light", "--to", "lamp-9"}, exitNoMember, "unknown peer"},
	} {
		if code, _, errs := s.run(s.switchArgs(file, c.args...)...); code != c.code || !strings.Contains(errs, c.want) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%v: exit code %d\n%s", c.args, code, errs)
		}
	}

	var st deviceStatus
	s.check(json.Unmarshal([]byte(s.must("status", "-e", file, "-o", "json")), &st))
	if len(st.Groups) != 1 || st.Groups[0].Group != "hall" || len(st.Groups[0].Peers) != 3 || st.Groups[0].Stale {
		t.Errorf("%+v", st)
	}

	if code := l2.stop(); code != 0 {
		t.Errorf("serve ends with %d: %s", code, l2.err.String())
	}
	list, err := s.gm.Members(t.Context(), "hall")
	s.check(err)
	for _, m := range list {
		if m.Client == "lamp-3" {
			_, err := s.gm.Evict(t.Context(), "hall", m.Node, manager.CauseEviction)
			s.check(err)
		}
	}
	if code := <-l3.ended; code != exitNoMember || !strings.Contains(l3.out.String(), "group hall: evicted") ||
		!strings.Contains(l3.err.String(), "evicted") || strings.Contains(l3.err.String(), "not deleted") || !strings.Contains(l3.err.String(), "still authorised") {
		t.Errorf("serve of an evicted lamp: %d\n%s\n%s", code, l3.out.String(), l3.err.String())
	}
	l3.ended <- 0

	if out := s.must("leave", "-e", file, "-g", "hall"); out != "switch left group hall\n" {
		t.Errorf("leave says %q", out)
	}
	if code, _, errs := s.run(s.switchArgs(file, "get", "/light")...); code != exitNoMember || !strings.Contains(errs, "member join") {
		t.Errorf("after leaving: %d\n%s", code, errs)
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	file := s.enrol("d", ace.RoleRequester)
	join := func(args ...string) []string {
		return append([]string{"join", "-e", file, "--listen", "127.0.0.2:0"}, args...)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{join("-g", "hall", "--roles", "responder"), exitRefused, "refused a token"},
		{join("-g", "cellar", "--roles", "requester"), cli.ExitFailed, "4.04"},
		{[]string{"serve", "-e", file, "--listen", "127.0.0.2:0"}, exitNoMember, "d is in no group"},
		{[]string{"leave", "-e", file, "--listen", "127.0.0.2:0", "-g", "hall"}, exitNoMember, "not a member"},
	} {
		if code, _, errs := s.run(c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d\n%s", c.args, code, errs)
		}
	}
	s.must(join("-g", "hall", "--roles", "requester")...)
	for _, verb := range []string{"get", "observe"} {
		if code, _, errs := s.run(s.switchArgs(file, verb, "/light")...); code != cli.ExitUsage || !strings.Contains(errs, "without a multicast address") || !strings.Contains(errs, "--to NAME@") {
			t.Errorf("no multicast address: exit code %d\n%s", code, errs)
		}
	}
	s.must(s.switchArgs(file, "leave")...)
	s.must(join("-g", "hall", "--roles", "requester", "--address", s.group.String())...)
	if code, _, errs := s.run(join("-g", "hall", "--roles", "requester")...); code != cli.ExitUsage || !strings.Contains(errs, "already a member") {
		t.Errorf("second join: %d\n%s", code, errs)
	}
	s.check(s.gm.SetActive(t.Context(), "hall", false))
	if code, _, errs := s.run(s.switchArgs(file, "get", "/light")...); code != exitStale || !strings.Contains(errs, "not active") {
		t.Errorf("inactive group: %d\n%s", code, errs)
	}
	s.check(s.gm.SetActive(t.Context(), "hall", true))

	// The state is another process's, another enrolment's, damaged, or open to others.
	other := s.enrol("e", ace.RoleRequester)
	state := filepath.Join(s.dir, "d.state")
	wrong := func(name string, code int, want string, args ...string) {
		t.Helper()
		if got, _, errs := s.run(args...); got != code || !strings.Contains(errs, want) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%s: exit code %d\n%s", name, got, errs)
		}
	}
	wrong("state of another", cli.ExitUsage, "wrong key", "status", "-e", other, "--state", state, "--listen", "127.0.0.2:0")
	l := s.lamp("lamp-1", "11")
	wrong("state in use", cli.ExitFailed, "in use", "status", "-e", filepath.Join(s.dir, "lamp-1.json"))
	l.stop()
	s.check(os.Chmod(filepath.Join(state, "state.db"), 0o644))
	wrong("state that others can read", cli.ExitUsage, "insecure", "status", "-e", file)
	s.check(os.Chmod(filepath.Join(state, "state.db"), 0o600))
	b, err := os.ReadFile(filepath.Join(state, "state.db"))
	s.check(err)
	b[len(b)/2] ^= 1
	s.check(os.WriteFile(filepath.Join(state, "state.db"), b, 0o600))
	wrong("damaged state", cli.ExitFailed, "corrupt", "status", "-e", file)
}
