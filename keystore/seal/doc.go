// Package seal wraps the data key of a store under a key that lives elsewhere: in a key file, in a passphrase file, or
// in a systemd credential.
//
//	w := seal.KeyFile("/etc/cohort/seal.key")                 // 32 bytes, or 64 hexadecimal digits; see CreateKeyFile
//	w := seal.PassphraseFile("/run/secrets/cohort")           // argon2id
//	w := seal.KeyCredential("cohort.key")                     // LoadCredential=cohort.key:… of a systemd unit
//	s, err := keystore.Open(b, keystore.Options{Wrapper: w})
//
// Whoever has both the data directory and this key can read everything, so they belong in different places; [CheckPlace]
// says whether they are.
package seal
