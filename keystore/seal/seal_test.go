package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

var (
	dataKey = secret.Bytes(bytes.Repeat([]byte{7}, keystore.DataKeySize))
	id      = bytes.Repeat([]byte{9}, 16)
	// cheap keeps the tests fast; the default cost is tested once.
	cheap = kdf{passes: 1, kib: 64, lanes: 1}
)

func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func passphrase(t testing.TB, content string) *Wrapper {
	w := PassphraseFile(write(t, content))
	w.cost = cheap
	return w
}

const hexKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestWrap(t *testing.T) {
	raw, _ := hex.DecodeString(hexKey)
	created := filepath.Join(t.TempDir(), "new.key")
	if err := CreateKeyFile(created); err != nil {
		t.Fatal(err)
	}
	for what, w := range map[string]*Wrapper{
		"a key file of bytes":       KeyFile(write(t, string(raw))),
		"a key file of digits":      KeyFile(write(t, strings.ToUpper(hexKey)+"\n")),
		"a created key file":        KeyFile(created),
		"a passphrase":              passphrase(t, "correct horse battery"),
		"a passphrase at full cost": PassphraseFile(write(t, "correct horse battery\n")),
	} {
		t.Run(what+" gives the data key back, and not the same blob twice", func(t *testing.T) {
			a, err := w.Wrap(dataKey, id)
			if err != nil {
				t.Fatal(err)
			}
			b, err := w.Wrap(dataKey, id)
			if err != nil || bytes.Equal(a, b) || bytes.Contains(a, dataKey) {
				t.Fatal(err)
			}
			for _, blob := range [][]byte{a, b} {
				if got, err := w.Unwrap(blob, id); err != nil || !got.Equal(dataKey) {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("bytes and digits of one key are one key", func(t *testing.T) {
		blob, err := KeyFile(write(t, string(raw))).Wrap(dataKey, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := KeyFile(write(t, hexKey)).Unwrap(blob, id); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the line end does not belong to a passphrase, a space does", func(t *testing.T) {
		blob, err := passphrase(t, "correct horse battery\r\n").Wrap(dataKey, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := passphrase(t, "correct horse battery").Unwrap(blob, id); err != nil {
			t.Fatal(err)
		}
		if _, err := passphrase(t, "correct horse battery ").Unwrap(blob, id); !errors.Is(err, keystore.ErrWrongKey) {
			t.Fatal(err)
		}
	})
	other := strings.Replace(hexKey, "0", "1", 1)
	for what, c := range map[string][2]*Wrapper{
		"another key":                     {KeyFile(write(t, hexKey)), KeyFile(write(t, other))},
		"another passphrase":              {passphrase(t, "correct horse battery"), passphrase(t, "wrong horse battery")},
		"a passphrase instead of the key": {KeyFile(write(t, hexKey)), passphrase(t, hexKey)},
		"a key instead of the passphrase": {passphrase(t, hexKey), KeyFile(write(t, hexKey))},
	} {
		t.Run(what+" is wrong, not corrupt", func(t *testing.T) {
			blob, err := c[0].Wrap(dataKey, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c[1].Unwrap(blob, id); !errors.Is(err, keystore.ErrWrongKey) || errors.Is(err, keystore.ErrCorrupt) {
				t.Fatal(err)
			}
		})
	}
	t.Run("a key of another length is refused", func(t *testing.T) {
		if _, err := KeyFile(write(t, hexKey)).Wrap(dataKey[:31], id); err == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("a wrapped key does not serve another store", func(t *testing.T) {
		w := KeyFile(write(t, hexKey))
		blob, _ := w.Wrap(dataKey, id)
		if _, err := w.Unwrap(blob, bytes.Repeat([]byte{8}, 16)); !errors.Is(err, keystore.ErrCorrupt) {
			t.Fatal(err)
		}
	})
	for what, w := range map[string]*Wrapper{"key": KeyFile(write(t, hexKey)), "passphrase": passphrase(t, "correct horse battery")} {
		blob, err := w.Wrap(dataKey, id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("a flipped bit in a key wrapped by a "+what+" is corrupt, with or without the checksum", func(t *testing.T) {
			for bit := range len(blob) * 8 {
				bad := bytes.Clone(blob)
				bad[bit/8] ^= 1 << (bit % 8)
				if _, err := w.Unwrap(bad, id); !errors.Is(err, keystore.ErrCorrupt) {
					t.Fatalf("bit %d: %v", bit, err)
				}
				if bit/8 >= len(blob)-sumSize || what == "passphrase" && bit/8 < 2+kdfSize {
					continue // the checksum itself; costs that would take their time
				}
				if got, err := w.Unwrap(resum(bad), id); err == nil || got != nil {
					t.Fatalf("bit %d opens", bit)
				}
			}
		})
		t.Run("a cut key wrapped by a "+what+" is corrupt", func(t *testing.T) {
			for n := range blob {
				if _, err := w.Unwrap(blob[:n], id); !errors.Is(err, keystore.ErrCorrupt) {
					t.Fatalf("%d bytes: %v", n, err)
				}
				if _, err := w.Unwrap(resum(blob[:n]), id); err == nil {
					t.Fatalf("%d bytes with a checksum open", n)
				}
			}
		})
	}
	t.Run("a newer format is not corrupt", func(t *testing.T) {
		w := KeyFile(write(t, hexKey))
		blob, _ := w.Wrap(dataKey, id)
		blob[0]++
		if _, err := w.Unwrap(resum(blob), id); !errors.Is(err, keystore.ErrNewerSchema) {
			t.Fatal(err)
		}
	})
}

// resum replaces the checksum.
func resum(b []byte) []byte {
	if len(b) < sumSize {
		return b
	}
	body := bytes.Clone(b[:len(b)-sumSize])
	sum := sha256.Sum256(body)
	return append(body, sum[:sumSize]...)
}

func TestSources(t *testing.T) {
	refuse := func(t *testing.T, w *Wrapper, want error, text string) {
		t.Helper()
		_, err := w.Wrap(dataKey, id)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	t.Run("a file that others can read is refused with the remedy", func(t *testing.T) {
		path := write(t, hexKey)
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		refuse(t, KeyFile(path), keystore.ErrInsecure, "chmod 0600 "+path)
		refuse(t, PassphraseFile(path), keystore.ErrInsecure, "chmod 0600 "+path)
	})
	t.Run("what is not there or not a key is refused", func(t *testing.T) {
		refuse(t, KeyFile(filepath.Join(t.TempDir(), "none")), nil, "does not exist")
		for _, s := range []string{"", "short", hexKey[:63] + "g", hexKey + "00", hexKey + "\n\nx", strings.Repeat("x", 31), strings.Repeat("x", 33)} {
			refuse(t, KeyFile(write(t, s)), nil, "is not a key")
		}
		refuse(t, KeyFile(write(t, strings.Repeat("0", maxFile+1))), nil, "longer than")
	})
	t.Run("a short passphrase is refused", func(t *testing.T) {
		for _, s := range []string{"", "\n", "elevenbytes\n"} {
			refuse(t, PassphraseFile(write(t, s)), keystore.ErrInsecure, "at least 12")
		}
	})
	t.Run("an error does not show the contents", func(t *testing.T) {
		_, err := KeyFile(write(t, "planted-secret")).Wrap(dataKey, id)
		if err == nil || strings.Contains(err.Error(), "planted") {
			t.Error(err)
		}
	})
	t.Run("credentials come from systemd's directory", func(t *testing.T) {
		path := write(t, hexKey)
		t.Setenv("CREDENTIALS_DIRECTORY", "")
		refuse(t, KeyCredential("file"), nil, "LoadCredential=file:")
		t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
		for _, name := range []string{"", ".", "..", "../file", "/etc/passwd"} {
			refuse(t, KeyCredential(name), nil, "is not a file name")
		}
		blob, err := KeyCredential("file").Wrap(dataKey, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := KeyFile(path).Unwrap(blob, id); err != nil {
			t.Fatal(err)
		}
		w := PassphraseCredential("file")
		w.cost = cheap
		if blob, err = w.Wrap(dataKey, id); err != nil {
			t.Fatal(err)
		}
		if _, err := PassphraseFile(path).Unwrap(blob, id); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a key file is made once, for the owner only", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		if err := CreateKeyFile(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if err := CreateKeyFile(path); err == nil {
			t.Fatal("overwritten")
		}
		after, _ := os.ReadFile(path)
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 || !bytes.Equal(before, after) {
			t.Fatal(fi.Mode(), err)
		}
		if err := CreateKeyFile(filepath.Join(t.TempDir(), "none", "key")); err == nil {
			t.Fatal("no directory")
		}
	})
}

func TestCheckPlace(t *testing.T) {
	top := t.TempDir()
	for _, d := range []string{"data", "data/keys", "data-2", "keys"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(top, "data"), filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{
		"keys/k": true, "data-2/k": true, "k": true, "data/../keys/k": true,
		"data/k": false, "data/keys/k": false, "link/k": false, "keys/../data/k": false,
	} {
		t.Run(path, func(t *testing.T) {
			err := CheckPlace(filepath.Join(top, path), filepath.Join(top, "data"))
			if ok != (err == nil) || !ok && !errors.Is(err, keystore.ErrInsecure) {
				t.Fatal(err)
			}
		})
	}
	t.Run("a directory that does not exist is an error", func(t *testing.T) {
		if CheckPlace(filepath.Join(top, "none", "k"), filepath.Join(top, "data")) == nil || CheckPlace(filepath.Join(top, "k"), filepath.Join(top, "none")) == nil {
			t.Fatal("accepted")
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, w := range []*Wrapper{KeyFile(write(f, hexKey)), passphrase(f, "correct horse battery")} {
		blob, err := w.Wrap(dataKey, id)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(blob)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resum(b)
		w, err := parse(b)
		if err != nil {
			return
		}
		again := []byte{format, w.method}
		if w.method == methodPassphrase {
			again = w.kdf.append(again)
		}
		again = append(append(append(again, w.check...), w.nonce...), w.sealed...)
		if !bytes.Equal(again, b[:len(b)-sumSize]) {
			t.Fatalf("%x parses as %+v", b, w)
		}
	})
}
