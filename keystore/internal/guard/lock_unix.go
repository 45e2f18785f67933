//go:build unix

package guard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cohort-iot/cohort/keystore"
)

func owned(path string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if me := uint32(os.Geteuid()); ok && st.Uid != me && st.Uid != 0 {
		return fmt.Errorf("%w: %s belongs to user %d, not to user %d; run: chown %d %s", keystore.ErrInsecure, path, st.Uid, me, me, quote(path))
	}
	return nil
}

// Lock is held until it is closed or the process ends.
type Lock struct {
	f    *os.File
	once sync.Once
}

// Acquire locks the data file by a lock file beside it (path + ".lock"), which names the holder. ErrHeld, with the
// holder's process id and program, when it is locked already.
func Acquire(path string) (*Lock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keystore: lock file: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s is held by %s; stop that process first", keystore.ErrHeld, path, holder(f))
	} else if err != nil {
		err = fmt.Errorf("keystore: lock %s: %w", name, err)
	} else {
		err = claim(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f: f}, nil
}

// claim writes who holds the lock: one line, process id and program.
func claim(f *os.File) error {
	line := fmt.Sprintf("%d %s\n", os.Getpid(), filepath.Base(os.Args[0]))
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("keystore: lock file: %w", err)
	}
	if _, err := f.WriteAt([]byte(line), 0); err != nil {
		return fmt.Errorf("keystore: lock file: %w", err)
	}
	return nil
}

// holder reads who holds the lock. What stands there is only shown.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 256))
	pid, program, ok := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	if n, perr := strconv.ParseUint(pid, 10, 32); err == nil && perr == nil && ok {
		return fmt.Sprintf("process %d (%s)", n, strings.Trim(strconv.Quote(program), `"`))
	}
	return "another process"
}

// Close gives the lock up; closing again does nothing. The lock file stays: removing it could remove another's.
func (l *Lock) Close() (err error) {
	l.once.Do(func() { err = l.f.Close() })
	return err
}
