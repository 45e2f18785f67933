package keystoretest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/keystore"
)

// childEnv tells a test binary that it is the other process: "hold PATH" or "count PATH".
const childEnv = "COHORT_KEYSTORE_TEST_CHILD"

// workers count at the same time in the child process that is killed.
const workers = 4

// Child must be called by TestMain of a package that calls Files. It returns at once in the test itself; in the other
// process that Files starts it does that one's work and ends it.
func Child(open func(path string) (keystore.Backend, error)) {
	what, path, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		return
	}
	b, err := open(path)
	if err == nil && what == "count" {
		err = count(b)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("holding")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func start(t *testing.T, what, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+what+" "+path)
	_, err = cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// Files tests what a backend in a file owes to other users and other processes.
func Files(t *testing.T, open func(path string) (keystore.Backend, error)) {
	newPath := func(t *testing.T) string { return filepath.Join(t.TempDir(), "data", "store") }
	create := func(t *testing.T) string {
		path := newPath(t)
		b, err := open(path)
		must(t, err)
		must(t, Open(t, b).Close())
		return path
	}
	t.Run("file and directory are made for the owner only", func(t *testing.T) {
		path := create(t)
		for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			fi, err := os.Stat(p)
			must(t, err)
			if fi.Mode().Perm() != want {
				t.Errorf("%s has mode %04o, want %04o", p, fi.Mode().Perm(), want)
			}
		}
	})
	t.Run("a file or directory open to others is refused with the remedy", func(t *testing.T) {
		path := create(t)
		for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			for _, bit := range []os.FileMode{0o040, 0o004, 0o010, 0o001, 0o020} {
				must(t, os.Chmod(p, mode|bit))
				_, err := open(path)
				if !errors.Is(err, keystore.ErrInsecure) || !strings.Contains(err.Error(), fmt.Sprintf("chmod %04o %s", mode, p)) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s with mode %04o: %v", p, mode|bit, err)
				}
			}
			must(t, os.Chmod(p, mode))
		}
	})
	t.Run("a link in place of the file is refused", func(t *testing.T) {
		path := create(t)
		must(t, os.Rename(path, path+".real"))
		must(t, os.Symlink(path+".real", path))
		if _, err := open(path); !errors.Is(err, keystore.ErrInsecure) {
			t.Error(err)
		}
	})
	t.Run("a file in place of the directory, or no parent, is refused", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "data"), nil, 0o600))
		for _, path := range []string{filepath.Join(dir, "data", "store"), filepath.Join(dir, "none", "data", "store")} {
			if _, err := open(path); err == nil {
				t.Errorf("%s is accepted", path)
			}
		}
	})
	t.Run("a file that is no store is corrupt and stays as it is", func(t *testing.T) {
		path := create(t)
		junk := []byte(strings.Repeat("not a store\n", 2000))
		must(t, os.WriteFile(path, junk, 0o600))
		if _, err := open(path); !errors.Is(err, keystore.ErrCorrupt) {
			t.Error(err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(junk) {
			t.Error("the file was changed")
		}
	})
	t.Run("a second opening in the same process is refused", func(t *testing.T) {
		path := newPath(t)
		b, err := open(path)
		must(t, err)
		defer b.Close()
		if _, err := open(path); !errors.Is(err, keystore.ErrHeld) {
			t.Error(err)
		}
	})
	t.Run("a second process is refused and told who holds the store", func(t *testing.T) {
		path := create(t)
		cmd, out := start(t, "hold", path)
		if !out.Scan() || out.Text() != "holding" {
			t.Fatal(out.Text())
		}
		_, err := open(path)
		want := fmt.Sprintf("process %d (%s)", cmd.Process.Pid, filepath.Base(cmd.Path))
		if !errors.Is(err, keystore.ErrHeld) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %s", err, want)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		b, err := open(path)
		must(t, err)
		must(t, b.Close())
	})
	t.Run("a killed process leaves whole effects, and all it acknowledged", func(t *testing.T) { kill(t, open, create(t)) })
}

func countName(worker int) keystore.Name { return keystore.Key("count", uint64(worker)) }

// count lets the workers count until the process is killed; each acknowledged count is a line.
func count(b keystore.Backend) error {
	s, err := keystore.Open(b, keystore.Options{DataKey: DataKey(1)})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range workers {
		wg.Go(func() {
			for err == nil {
				uerr := s.Update(context.Background(), func(tx *keystore.Tx) error { return increment(tx, countName(w)) })
				mu.Lock()
				if uerr != nil {
					fmt.Println("failed:", uerr)
					os.Exit(1)
				}
				fmt.Println(w)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// kill ends a counting process, several times, and compares what it said with what is stored.
func kill(t *testing.T, open func(path string) (keystore.Backend, error), path string) {
	var before [workers]int
	for round := range 6 {
		cmd, out := start(t, "count", path)
		acknowledged := before
		for lines := 0; out.Scan(); lines++ {
			var w int
			if _, err := fmt.Sscan(out.Text(), &w); err != nil {
				t.Fatal(out.Text())
			}
			acknowledged[w]++
			if lines == 10+37*round {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
		b, err := open(path)
		must(t, err)
		s := Open(t, b)
		total := 0
		for w := range workers {
			var got int
			must(t, s.View(func(r keystore.Reader) error {
				v, err := r.Get(countName(w))
				if errors.Is(err, keystore.ErrNotFound) {
					return nil
				}
				if err == nil {
					_, err = fmt.Sscan(string(v), &got)
				}
				return err
			}))
			if got != acknowledged[w] && got != acknowledged[w]+1 {
				t.Errorf("round %d: worker %d was told %d, stored is %d", round, w, acknowledged[w], got)
			}
			before[w] = got
			total += got
		}
		if n, _, err := s.AuditVerify(); err != nil || n != uint64(total) {
			t.Errorf("round %d: counts are %d together, audit log has %d records: %v", round, total, n, err)
		}
		must(t, s.Close())
	}
}
