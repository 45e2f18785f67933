package crash

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/integration/binaries"
	"github.com/cohort-iot/cohort/integration/relay"
)

// TestAnswersWaitForTheDisk shows the order of system calls of the command:
// fdatasync has returned before the answer is sent.
func TestAnswersWaitForTheDisk(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("the order of system calls is not shown: %v", err)
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("the order of system calls is not shown: strace does not work here: %v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	trace := filepath.Join(t.TempDir(), "trace")
	cfg := Config{
		Binary: filepath.Join(binaries.Build(t), "groupmanager"), Dir: shortDir(t), Devices: 1, Seed: 1, Quiet: true,
		Under: []string{strace, "-D", "-f", "-xx", "-s", "4096", "-e", "trace=" + traced, "-e", "signal=none", "-o", trace},
	}
	w, err := newWorld(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	d := w.devices[0]
	type effect struct {
		what              string
		request, response []byte
	}
	var effects []effect
	for _, e := range []struct {
		what string
		do   func(context.Context) error
	}{{"join", d.join}, {"new Sender ID", func(ctx context.Context) error { _, err := d.askSenderID(ctx); return err }}, {"join again", d.join}, {"leave", d.leave}} {
		if err := e.do(ctx); err != nil {
			t.Fatalf("%s: %v", e.what, err)
		}
		w.mu.Lock()
		last := w.records[len(w.records)-2:]
		w.mu.Unlock()
		if last[0].Direction != relay.ToServer || last[1].Direction != relay.ToDevice {
			t.Fatalf("%s: the last two datagrams are no exchange", e.what)
		}
		effects = append(effects, effect{e.what, last[0].Bytes, last[1].Bytes})
	}
	if err := w.proc.stop(); err != nil {
		t.Fatal(err, w.proc.tail())
	}
	calls := readTrace(t, trace)
	for _, e := range effects {
		t.Run(e.what, func(t *testing.T) {
			if err := calls.waited(e.request, e.response); err != nil {
				t.Error(err)
			}
		})
	}
}

// readTrace reads the trace once strace, which ends on its own, has ended.
func readTrace(t *testing.T, path string) syscalls {
	t.Helper()
	var before int64 = -1
	for range 200 {
		time.Sleep(20 * time.Millisecond)
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Size() == before {
			break
		}
		before = fi.Size()
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := parseSyscalls(f)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// TestSyscallsAreJudged: the check sees an answer that did not wait.
func TestSyscallsAreJudged(t *testing.T) {
	req, resp := []byte{1, 2}, []byte{3, 4}
	const recv, send = `7  recvmsg(5, {msg_iov=[{iov_base="\x01\x02", iov_len=9}]}, 0) = 2`, `7  sendmsg(5, {msg_iov=[{iov_base="\x03\x04", iov_len=2}]}, 0) = 2`
	const write, sync = `8  pwrite64(4, ""..., 4096, 0) = 4096`, `8  fdatasync(4) = 0`
	for _, c := range []struct {
		name  string
		lines []string
		ok    bool
	}{
		{"in order", []string{recv, write, sync, send}, true},
		{"in pieces", []string{
			`7  recvmsg(5,  <unfinished ...>`, `8  fdatasync(4) = 0`, `7  <... recvmsg resumed>{msg_iov=[{iov_base="\x01\x02", iov_len=9}]}, 0) = 2`,
			write, `8  fdatasync(4 <unfinished ...>`, `8  <... fdatasync resumed>) = 0`, send,
		}, true},
		{"sent before the sync", []string{recv, write, send, sync}, false},
		{"sent during the sync", []string{recv, write, `8  fdatasync(4 <unfinished ...>`, send, `8  <... fdatasync resumed>) = 0`}, false},
		{"nothing written", []string{sync, recv, send}, false},
		{"a write after the sync", []string{recv, write, sync, write, send}, false},
		{"the sync began before the write", []string{recv, `8  fdatasync(4 <unfinished ...>`, write, `8  <... fdatasync resumed>) = 0`, send}, false},
		{"no response", []string{recv, write, sync}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseSyscalls(strings.NewReader(strings.Join(c.lines, "\n")))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.waited(req, resp); (err == nil) != c.ok {
				t.Fatal(err)
			}
		})
	}
}
