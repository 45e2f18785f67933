package keystore

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cohort-iot/cohort/internal/secret"
)

// DataKeySize is the length of a data key in bytes.
const DataKeySize = 32

// keys are what the data key gives: one key per purpose, bound to this store by its identity as HKDF salt.
type keys struct {
	data                               secret.Bytes // the data key itself
	seal, audit, anchor, index, backup secret.Bytes
	check                              secret.Bytes // not a key: tells a wrong data key from corrupt data; stored in the open
}

// deriveKeys takes possession of dataKey.
func deriveKeys(dataKey secret.Bytes, id storeID) (*keys, error) {
	if len(dataKey) != DataKeySize {
		return nil, fmt.Errorf("keystore: data key has %d bytes, want %d", len(dataKey), DataKeySize)
	}
	prk, err := hkdf.Extract(sha256.New, dataKey, id[:])
	if err != nil {
		return nil, fmt.Errorf("keystore: derive keys: %w", err)
	}
	k := &keys{data: dataKey}
	for _, p := range []struct {
		label string
		to    *secret.Bytes
	}{
		{"seal", &k.seal}, {"audit", &k.audit}, {"anchor", &k.anchor}, {"index", &k.index}, {"backup", &k.backup}, {"check", &k.check},
	} {
		out, err := hkdf.Expand(sha256.New, prk, "cohort keystore 1 "+p.label, 32)
		if err != nil {
			return nil, fmt.Errorf("keystore: derive keys: %w", err)
		}
		*p.to = out
	}
	k.check = k.check[:checkSize]
	secret.Bytes(prk).Wipe()
	return k, nil
}

func (k *keys) wipe() {
	for _, b := range []secret.Bytes{k.data, k.seal, k.audit, k.anchor, k.backup} {
		b.Wipe()
	}
}

// mac is HMAC-SHA-256 over the parts, each behind its length as eight bytes.
func mac(key secret.Bytes, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

// envelope seals values of one store.
//
// A sealed value is format (1 byte, 1) | version (8 bytes: the commit that wrote it) | nonce (24) | XChaCha20-Poly1305
// ciphertext with its 16-byte tag; the associated data are the text "cohort record 1", the identity of the store, the
// version and the name.
type envelope struct {
	key secret.Bytes
	id  storeID
}

// env returns what seals values of the store.
func (s *Store) env() envelope { return envelope{key: s.keys.seal, id: s.id} }

const (
	sealFormat   = 1
	sealHeader   = 1 + 8 + chacha20poly1305.NonceSizeX
	sealOverhead = sealHeader + chacha20poly1305.Overhead
)

func (e envelope) ad(version uint64, n Name) []byte {
	ad := make([]byte, 0, 15+len(e.id)+8+len(n))
	ad = append(ad, "cohort record 1"...)
	ad = append(ad, e.id[:]...)
	ad = binary.BigEndian.AppendUint64(ad, version)
	return append(ad, n...)
}

// seal needs a nonce that is never used twice; 24 random bytes are.
func (e envelope) seal(n Name, version uint64, nonce [chacha20poly1305.NonceSizeX]byte, plain []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(e.key)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	out := make([]byte, 0, len(plain)+sealOverhead)
	out = append(out, sealFormat)
	out = binary.BigEndian.AppendUint64(out, version)
	out = append(out, nonce[:]...)
	return aead.Seal(out, nonce[:], plain, e.ad(version, n)), nil
}

// open returns the plaintext and the version, or ErrCorrupt.
func (e envelope) open(n Name, sealed []byte) (plain []byte, version uint64, err error) {
	if len(sealed) < sealOverhead || sealed[0] != sealFormat {
		return nil, 0, fmt.Errorf("%w: record %v is not a sealed value", ErrCorrupt, n)
	}
	aead, err := chacha20poly1305.NewX(e.key)
	if err != nil {
		return nil, 0, fmt.Errorf("keystore: %w", err)
	}
	version = binary.BigEndian.Uint64(sealed[1:])
	plain, err = aead.Open(make([]byte, 0, len(sealed)-sealOverhead), sealed[9:sealHeader], sealed[sealHeader:], e.ad(version, n))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: record %v does not open", ErrCorrupt, n)
	}
	return plain, version, nil
}

// entropy is the default source of keys and nonces.
func entropy() io.Reader { return rand.Reader }
