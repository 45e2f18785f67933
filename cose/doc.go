// Package cose holds the parts of COSE (RFC 9052, RFC 9053, RFC 9338) that OSCORE,
// Group OSCORE and ACE need: the registries, ciphers, HKDF, keys, authentication
// credentials, COSE_Encrypt0, COSE_Sign1 and the Countersign_structure.
//
// Start with
//
//   - [Algorithm] and its look-ups: what a number means, and the sizes that follow;
//   - [NewCipher]: an AEAD for a key; [HKDF] and [AppendHKDF]: key derivation;
//   - [GenerateKey], [NewPrivateKey]: signing and key agreement with one key pair;
//     [NewExternalKey] for a private key that stays in an HSM or TPM;
//   - [ParseCredential], [NewCCS], [NewCWT]: the authentication credential that
//     carries the public key of a group member, byte for byte as it was made: a CWT
//     Claims Set, a CWT, an X.509 or a C509 certificate;
//   - [SealEncrypt0], [ParseEncrypt0], [SealSign1], [ParseSign1]: the COSE messages
//     that protect a token;
//   - [AppendCountersignStructure]: what a group message's signature covers.
//
// Nothing here keeps state but [PublicKey], which caches what verification can
// precompute. Only private keys need to be persisted, and sealed: see
// [PrivateKey.Secret].
//
// Public keys are judged once, when they are parsed: points that are not on their
// curve, of small order, or, but for X25519 and X448, encoded in more than one way
// are refused there, so that verification and key agreement need not ask again.
// Credentials are only read:
// nothing here verifies an issuer, a chain or a time.
package cose
