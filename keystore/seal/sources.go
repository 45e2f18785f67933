package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/disk"
	"github.com/cohort-iot/cohort/keystore/internal/guard"
)

// maxFile bounds a key or passphrase file, in bytes.
const maxFile = 4096

// minPassphrase is the least length of a passphrase, in bytes: what argon2id can still make costly to guess.
const minPassphrase = 12

// Wrapper is a keystore.KeyWrapper over a file that it reads anew each time.
type Wrapper struct {
	where      string                 // for messages
	read       func() ([]byte, error) // the file
	passphrase bool
	cost       kdf
}

var _ keystore.KeyWrapper = (*Wrapper)(nil)

// KeyFile wraps under a file of 32 bytes, or of 64 hexadecimal digits and a line end. Mode 0600 or stricter,
// keystore.ErrInsecure otherwise.
func KeyFile(path string) *Wrapper {
	return &Wrapper{where: path, read: func() ([]byte, error) { return readPrivate(path) }}
}

// PassphraseFile wraps under a passphrase of at least 12 bytes, the contents of a file without its last line end,
// through argon2id (RFC 9106; 3 passes, 64 MiB, 4 lanes).
func PassphraseFile(path string) *Wrapper {
	return &Wrapper{where: path, read: func() ([]byte, error) { return readPrivate(path) }, passphrase: true, cost: defaultKDF}
}

// KeyCredential is KeyFile for a credential that systemd passes to the service (LoadCredential=, LoadCredentialEncrypted=).
func KeyCredential(name string) *Wrapper {
	return &Wrapper{where: "credential " + name, read: func() ([]byte, error) { return readCredential(name) }}
}

// PassphraseCredential is PassphraseFile for a credential that systemd passes to the service.
func PassphraseCredential(name string) *Wrapper {
	w := KeyCredential(name)
	w.passphrase, w.cost = true, defaultKDF
	return w
}

// CreateKeyFile makes a key file from crypto/rand, mode 0600, in an existing directory. It refuses to overwrite.
func CreateKeyFile(path string) error {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("keystore: no random bytes: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("keystore: key file %s exists already; it may be the key of a store, move it away first", path)
	}
	d := disk.Dir(filepath.Dir(path))
	if err := disk.Replace(d, filepath.Base(path), []byte(hex.EncodeToString(key[:])+"\n")); err != nil {
		return fmt.Errorf("keystore: make key file: %w", err)
	}
	return nil
}

// Wrap implements keystore.KeyWrapper.
func (w *Wrapper) Wrap(dataKey secret.Bytes, id []byte) ([]byte, error) {
	master, err := w.master()
	if err != nil {
		return nil, err
	}
	defer master.Wipe()
	if w.passphrase {
		return wrapPassphrase(entropy(), w.cost, master, dataKey, id)
	}
	return wrapKey(entropy(), master, dataKey, id)
}

// Unwrap implements keystore.KeyWrapper.
func (w *Wrapper) Unwrap(blob, id []byte) (secret.Bytes, error) {
	p, err := parse(blob)
	if err != nil {
		return nil, err
	}
	if passphrase := p.method == methodPassphrase; passphrase != w.passphrase {
		return nil, fmt.Errorf("%w: the store wants a %s, %s is configured as a %s", keystore.ErrWrongKey, method(passphrase), w.where, method(w.passphrase))
	}
	master, err := w.master()
	if err != nil {
		return nil, err
	}
	defer master.Wipe()
	if w.passphrase {
		return p.unwrap(p.kdf.key(master), id, w.where)
	}
	return p.unwrap(master, id, w.where)
}

func method(passphrase bool) string {
	if passphrase {
		return "passphrase"
	}
	return "key"
}

// master reads the key or the passphrase.
func (w *Wrapper) master() (secret.Bytes, error) {
	b, err := w.read()
	if err != nil {
		return nil, err
	}
	if w.passphrase {
		b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
		if len(b) < minPassphrase {
			return nil, fmt.Errorf("%w: passphrase in %s has %d bytes, at least %d are needed", keystore.ErrInsecure, w.where, len(b), minPassphrase)
		}
		return b, nil
	}
	if len(b) == 32 {
		return b, nil
	}
	key, err := hex.DecodeString(strings.TrimRight(string(b), "\r\n"))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("keystore: %s is not a key: it must hold 32 bytes or 64 hexadecimal digits", w.where)
	}
	return key, nil
}

func readPrivate(path string) ([]byte, error) {
	exists, err := guard.File(path)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("keystore: key file %s does not exist", path)
	}
	return readBounded(path)
}

// readCredential does not look at the mode: systemd guards the directory, and its access lists show up as group bits.
func readCredential(name string) ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, fmt.Errorf("keystore: credential %s: CREDENTIALS_DIRECTORY is not set; start the program by systemd with LoadCredential=%s:PATH", name, name)
	}
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("keystore: credential name %q is not a file name", name)
	}
	return readBounded(filepath.Join(dir, name))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("keystore: %s is longer than %d bytes; is it the right file?", path, maxFile)
	}
	return b, errors.Join(err, f.Close())
}
