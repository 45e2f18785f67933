package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// watching runs `member observe` until its context ends.
func (s *site) watching(ctx context.Context, args ...string) (*buffer, <-chan int) {
	out, ended := new(buffer), make(chan int, 1)
	go func() {
		var errs buffer
		ended <- execute(ctx, args, out, &errs)
		if e := errs.String(); e != "" {
			s.t.Log(e)
		}
	}()
	return out, ended
}

func TestObserveVerb(t *testing.T) {
	s := newSite(t)
	s.check(os.Chmod(s.dir, 0o700)) // for the anchor
	l1 := s.lamp("lamp-1", "11")
	s.lamp("lamp-2", "12", "--rekeying", "both", "--freshness", "echo")
	file := s.joinSwitch()
	other := s.enrol("other", 2|4)
	s.must("join", "-e", other, "-g", "hall", "--roles", "requester", "--address", s.group.String(), "--listen", "127.0.0.3:0", "--interface", s.iface,
		"--anchor", s.dir+"/other.anchor")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, ended := s.watching(ctx, s.switchArgs(file, "observe", "/light", "-o", "json")...)
	wait := func(what string, ok func(text string) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(out.String()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is not in\n%s", what, out.String())
			}
		}
	}
	wait("a state of each lamp", func(text string) bool {
		return strings.Contains(text, `"lamp-1"`) && strings.Contains(text, `"lamp-2"`)
	})
	addr := regexp.MustCompile(`serves on (\S+)`).FindStringSubmatch(l1.out.String())[1]
	s.must("put", "/light", "on", "-e", other, "-g", "hall", "--to", "lamp-1@"+addr, "--anchor", s.dir+"/other.anchor")
	wait("the new state", func(text string) bool { return strings.Contains(text, `"payload":"on"`) })
	for line := range bytes.Lines([]byte(out.String())) {
		var one answerInfo
		if err := json.Unmarshal(line, &one); err != nil || one.Code != "2.05" {
			t.Errorf("%s: %v", line, err)
		}
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text := s.must(s.switchArgs(file, "observe", "/light", "--to", "lamp-1@"+addr, "--expect", "1", "--for", "20s")...); !strings.HasSuffix(text, "pairwise 2.05 on\n") {
		t.Errorf("%q", text)
	}

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"observe", "/nothing", "--for", "300ms"}, cli.ExitPartial, "0 of 1 states came"},
		{[]string{"observe", "/light", "--for", "-1s"}, cli.ExitUsage, "--for"},
		{[]string{"observe", "/light", "--to", "lamp-9"}, exitNoMember, "unknown peer"},
		{[]string{"get", "/light", "--rekeying", "never"}, cli.ExitUsage, "--rekeying"},
		{[]string{"get", "/light", "--anchor", s.dir + "/switch.state/anchor"}, cli.ExitUsage, "--anchor"},
		{[]string{"serve", "--freshness", "never"}, cli.ExitUsage, "--freshness"},
	} {
		args := append(c.args, "-e", file)
		if c.args[0] != "serve" {
			args = append(args, "-g", "hall")
		}
		if code, _, errs := s.run(args...); code != c.code || !strings.Contains(errs, c.want) || !strings.Contains(errs, "hint: ") {
			t.Errorf("%v: exit code %d\n%s", c.args, code, errs)
		}
	}
}
