package oracle

import (
	"crypto/cipher"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/oscore"
)

// keys are what one set of inputs derives: a Common IV and a key for each
// identifier (RFC 8613, Section 3.2).
type keys struct {
	name   string
	params oscore.Params
	alg    cose.Algorithm
	size   cose.AEADParams
	iv     []byte
	byID   map[string]*key
}

// key is the Sender Key of one identifier.
type key struct {
	raw  []byte
	aead cipher.AEAD
}

func newKeys(name string, p oscore.Params) (*keys, error) {
	k := &keys{name: name, params: p, alg: p.AEAD, byID: map[string]*key{}}
	if k.alg == 0 {
		k.alg = cose.AlgAESCCM16_64_128
	}
	if k.params.HKDF == 0 {
		k.params.HKDF = cose.AlgHMAC256
	}
	size, ok := k.alg.AEAD()
	if !ok {
		return nil, fmt.Errorf("oracle: %v is no AEAD algorithm", k.alg)
	}
	k.size = size
	iv, err := k.derive([]byte{}, "IV", size.NonceSize)
	k.iv = iv
	return k, err
}

func (k *keys) derive(id []byte, typ string, length int) ([]byte, error) {
	p := k.params
	return oscore.DeriveKey(p.HKDF, p.MasterSecret, p.MasterSalt, id, p.IDContext, k.alg, typ, length)
}

func (k *keys) of(id []byte) (*key, error) {
	if s := k.byID[string(id)]; s != nil {
		return s, nil
	}
	raw, err := k.derive(id, "Key", k.size.KeySize)
	if err != nil {
		return nil, err
	}
	aead, err := cose.NewCipher(k.alg, raw)
	if err != nil {
		return nil, err
	}
	s := &key{raw, aead}
	k.byID[string(id)] = s
	return s, nil
}

// open decrypts a payload that sender made with a nonce of (id, piv), in an
// exchange whose request had (requestKID, requestPIV).
func (k *keys) open(sender, id, piv, requestKID, requestPIV, payload []byte) (raw *key, nonce, plaintext []byte, err error) {
	s, err := k.of(sender)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(id) > oscore.MaxIDSize(k.size.NonceSize) || len(piv) > 5 {
		return nil, nil, nil, fmt.Errorf("identifier %x or partial iv %x is too long", id, piv)
	}
	nonce = oscore.AppendNonce(nil, k.size.NonceSize, id, piv, k.iv)
	plaintext, err = s.aead.Open(nil, nonce, payload, aad(k.alg, requestKID, requestPIV))
	return s, nonce, plaintext, err
}

// aad is the Enc_structure of RFC 8613, Section 5.4.
func aad(alg cose.Algorithm, requestKID, requestPIV []byte) []byte {
	external := cborx.AppendArray(nil, 5)
	external = cborx.AppendUint(external, 1)
	external = cborx.AppendArray(external, 1)
	external = cborx.AppendInt(external, int64(alg))
	external = cborx.AppendBytes(external, requestKID)
	external = cborx.AppendBytes(external, requestPIV)
	external = cborx.AppendBytes(external, nil)
	b := cborx.AppendArray(nil, 3)
	b = cborx.AppendText(b, "Encrypt0")
	b = cborx.AppendBytes(b, nil)
	return cborx.AppendBytes(b, external)
}
