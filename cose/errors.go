package cose

import "errors"

var (
	// ErrAlgorithm says that an algorithm is unknown, or not of the kind asked for.
	ErrAlgorithm = errors.New("cose: unsupported algorithm")
	// ErrKeySize says that a symmetric key has not the size its algorithm wants.
	ErrKeySize = errors.New("cose: wrong key size")
	// ErrKey says that a public or private key is malformed, invalid or refused.
	ErrKey = errors.New("cose: invalid key")
	// ErrUnsupportedKey says that a key type or curve is unknown or not supported.
	ErrUnsupportedKey = errors.New("cose: unsupported key type or curve")
	// ErrNoSigner says that a private key, kept outside, does not sign.
	ErrNoSigner = errors.New("cose: private key has no signer")
	// ErrNoAgreement says that a private key, kept outside, has no key agreement, and
	// so cannot be used in the pairwise mode.
	ErrNoAgreement = errors.New("cose: private key has no key agreement: it cannot be used in pairwise mode")
	// ErrSignature says that a signature does not verify.
	ErrSignature = errors.New("cose: signature does not verify")
	// ErrCredential says that an authentication credential is malformed.
	ErrCredential = errors.New("cose: invalid authentication credential")
	// ErrCredentialFormat says that a credential format is not supported.
	ErrCredentialFormat = errors.New("cose: unsupported credential format")
	// ErrMessage says that a COSE message is malformed.
	ErrMessage = errors.New("cose: malformed message")
	// ErrDecrypt says that a ciphertext is not authentic under the key given.
	ErrDecrypt = errors.New("cose: decryption failed")
	// ErrTooLong says that a message or an output is longer than its algorithm allows.
	ErrTooLong = errors.New("cose: too long for the algorithm")
)
