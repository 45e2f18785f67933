package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// A wrapped key is: format (1 byte, 1) | method (1) | for a passphrase: salt (16), passes (4), KiB (4), lanes (1) |
// check of the wrapping key (8) | nonce (24) | XChaCha20-Poly1305 of the data key (32 + 16) | SHA-256 of all that, first
// 8 bytes. Associated data: all before the nonce, and the identity of the store.
const (
	format           = 1
	methodKey        = 1
	methodPassphrase = 2

	saltSize  = 16
	checkSize = 8
	sumSize   = 8
	kdfSize   = saltSize + 4 + 4 + 1
	tailSize  = chacha20poly1305.NonceSizeX + keystore.DataKeySize + chacha20poly1305.Overhead + sumSize
)

// kdf is argon2id's cost. The default is the second recommendation of RFC 9106, Section 4: 3 passes, 64 MiB, 4 lanes.
type kdf struct {
	salt   [saltSize]byte
	passes uint32
	kib    uint32
	lanes  uint8
}

var defaultKDF = kdf{passes: 3, kib: 64 << 10, lanes: 4}

// valid bounds what a changed blob could make us compute: at most 1 GiB and 64 passes.
func (k kdf) valid() bool {
	return k.passes >= 1 && k.passes <= 64 && k.lanes >= 1 && k.kib >= 8*uint32(k.lanes) && k.kib <= 1<<20
}

func (k kdf) key(passphrase []byte) secret.Bytes {
	return argon2.IDKey(passphrase, k.salt[:], k.passes, k.kib, k.lanes, 32)
}

func (k kdf) append(b []byte) []byte {
	b = append(b, k.salt[:]...)
	b = binary.BigEndian.AppendUint32(b, k.passes)
	b = binary.BigEndian.AppendUint32(b, k.kib)
	return append(b, k.lanes)
}

// wrapped is a parsed blob.
type wrapped struct {
	method byte
	kdf    kdf
	head   []byte // format to check
	check  []byte
	nonce  []byte
	sealed []byte
}

func parse(b []byte) (w wrapped, err error) {
	corrupt := func(what string) (wrapped, error) {
		return w, fmt.Errorf("%w: wrapped data key: %s", keystore.ErrCorrupt, what)
	}
	if len(b) < 2+checkSize+tailSize {
		return corrupt("too short")
	}
	body, sum := b[:len(b)-sumSize], sha256.Sum256(b[:len(b)-sumSize])
	if !bytes.Equal(b[len(body):], sum[:sumSize]) {
		return corrupt("checksum")
	}
	if b[0] != format {
		return w, fmt.Errorf("%w: wrapped data key has format %d, this one knows %d", keystore.ErrNewerSchema, b[0], format)
	}
	w.method = b[1]
	n := 2
	switch w.method {
	case methodKey:
	case methodPassphrase:
		if len(b) < 2+kdfSize+checkSize+tailSize {
			return corrupt("too short")
		}
		p := b[2:]
		copy(w.kdf.salt[:], p)
		w.kdf.passes, w.kdf.kib, w.kdf.lanes = binary.BigEndian.Uint32(p[16:]), binary.BigEndian.Uint32(p[20:]), p[24]
		if !w.kdf.valid() {
			return corrupt("cost of the passphrase")
		}
		n += kdfSize
	default:
		return corrupt("unknown method")
	}
	n += checkSize
	if len(b) != n+tailSize {
		return corrupt("length")
	}
	w.head, w.check = b[:n], b[n-checkSize:n]
	w.nonce = b[n : n+chacha20poly1305.NonceSizeX]
	w.sealed = body[n+chacha20poly1305.NonceSizeX:]
	return w, nil
}

// expand gives the key that wraps and its check value.
func expand(master secret.Bytes) (key secret.Bytes, check []byte, err error) {
	out, err := hkdf.Key(sha256.New, master, nil, "cohort wrap 1", 32+checkSize)
	if err != nil {
		return nil, nil, fmt.Errorf("keystore: %w", err)
	}
	return out[:32], out[32:], nil
}

// wrap seals the data key under master. head is format, method and cost.
func wrap(r io.Reader, master, dataKey secret.Bytes, head, id []byte) ([]byte, error) {
	if len(dataKey) != keystore.DataKeySize {
		return nil, fmt.Errorf("keystore: data key has %d bytes, want %d", len(dataKey), keystore.DataKeySize)
	}
	key, check, err := expand(master)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	b := append(bytes.Clone(head), check...)
	ad := append(bytes.Clone(b), id...)
	var nonce [chacha20poly1305.NonceSizeX]byte
	if _, err := io.ReadFull(r, nonce[:]); err != nil {
		return nil, fmt.Errorf("keystore: no random bytes: %w", err)
	}
	b = append(b, nonce[:]...)
	b = aead.Seal(b, nonce[:], dataKey, ad)
	sum := sha256.Sum256(b)
	return append(b, sum[:sumSize]...), nil
}

func (w wrapped) unwrap(master secret.Bytes, id []byte, where string) (secret.Bytes, error) {
	key, check, err := expand(master)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(check, w.check) != 1 {
		return nil, fmt.Errorf("%w: it was not wrapped under the key of %s", keystore.ErrWrongKey, where)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	dataKey, err := aead.Open(nil, w.nonce, w.sealed, append(bytes.Clone(w.head), id...))
	if err != nil {
		return nil, fmt.Errorf("%w: wrapped data key does not open; it may belong to another store", keystore.ErrCorrupt)
	}
	return dataKey, nil
}

func wrapKey(r io.Reader, key, dataKey secret.Bytes, id []byte) ([]byte, error) {
	return wrap(r, key, dataKey, []byte{format, methodKey}, id)
}

func wrapPassphrase(r io.Reader, cost kdf, passphrase, dataKey secret.Bytes, id []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, cost.salt[:]); err != nil {
		return nil, fmt.Errorf("keystore: no random bytes: %w", err)
	}
	return wrap(r, cost.key(passphrase), dataKey, cost.append([]byte{format, methodPassphrase}), id)
}

// entropy is the source of salts and nonces.
func entropy() io.Reader { return rand.Reader }
