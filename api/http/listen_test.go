package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tempDir is short: the path of a socket has few bytes.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cohort")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestListen(t *testing.T) {
	path := filepath.Join(tempDir(t), "run", "gm.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v), want %v", p, info.Mode(), err, want)
		}
	}
	if _, err := Listen(path); err == nil {
		t.Error("a socket in use was taken over")
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	ln, err = Listen(path)
	if err != nil {
		t.Fatalf("a stale socket was not replaced: %v", err)
	}
	ln.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := tempDir(t)
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "a-very-long-name-for-a-directory-that-holds-a-socket-of-an-operator", "groupmanager.sock-that-is-long-too")
	for name, path := range map[string]string{"open directory": filepath.Join(open, "s"), "a file": file, "long path": long} {
		t.Run(name, func(t *testing.T) {
			if ln, err := Listen(path); err == nil {
				ln.Close()
				t.Error("accepted")
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

// serve serves h on a socket of its own and returns a client of it.
func serve(t *testing.T, h http.Handler, allowed Operators) *http.Client {
	t.Helper()
	path := filepath.Join(tempDir(t), "run", "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, context.Background(), ln, h, allowed, nil) }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end")
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket is still there")
		}
	})
	return &http.Client{Transport: tr}
}

func TestPeerIsChecked(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := PeerFrom(r.Context())
		writeJSON(w, http.StatusOK, p)
	})
	t.Run("own uid", func(t *testing.T) {
		res, err := serve(t, h, OwnerAndRoot()).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var p Peer
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || p.UID != uint32(os.Getuid()) || p.PID != int32(os.Getpid()) {
			t.Errorf("status %d, peer %v", res.StatusCode, p)
		}
	})
	t.Run("another uid", func(t *testing.T) {
		res, err := serve(t, h, func(uid uint32) bool { return uid == uint32(os.Getuid())+1 }).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		var p Problem
		if err := json.Unmarshal(body, &p); err != nil || res.StatusCode != http.StatusForbidden || p.Kind != "forbidden" || p.Hint == "" {
			t.Errorf("status %d, body %s", res.StatusCode, body)
		}
		if ct := res.Header.Get("Content-Type"); ct != problemType {
			t.Errorf("media type %s", ct)
		}
	})
	t.Run("nobody decides", func(t *testing.T) {
		if err := Serve(t.Context(), t.Context(), nil, h, nil, nil); err == nil {
			t.Error("served without a rule")
		}
	})
	t.Run("no socket", func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		if _, ok := PeerFrom(withPeer(t.Context(), a)); ok {
			t.Error("a pipe has a peer")
		}
	})
	t.Run("root and owner only", func(t *testing.T) {
		own := uint32(os.Getuid())
		if f := OwnerAndRoot(); !f(own) || !f(0) || f(own+1) {
			t.Error("wrong uids are admitted")
		}
	})
}

func TestLimit(t *testing.T) {
	enter, leave := make(chan bool), make(chan bool)
	c := serve(t, limit(1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { enter <- true; <-leave })), OwnerAndRoot())
	first := make(chan error, 1)
	go func() {
		res, err := c.Get("http://x/")
		if err == nil {
			res.Body.Close()
		}
		first <- err
	}()
	<-enter
	res, err := c.Get("http://x/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", res.StatusCode)
	}
	leave <- true
	if err := <-first; err != nil {
		t.Error(err)
	}
}
