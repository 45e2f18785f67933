// Package keystore keeps the state of a Group Manager or of a device: durably, sealed, and so that a crash, a rollback or a
// second process is noticed.
//
// It knows names, bytes and blocks of sequence numbers. What a record means, how it is encoded and how it migrates belongs to
// the package that owns it.
//
// # Use
//
// Open a backend, then the store over it:
//
//	b, err := boltstore.Open("/var/lib/cohort/data.db")   // or filestore.Open for a device, or NewMemory() for a test
//	s, err := keystore.Open(b, keystore.Options{Wrapper: seal.KeyFile("/etc/cohort/seal.key")})
//	defer s.Close()                                       // writes the clean-stop marker, closes the backend
//
//	err = s.Update(ctx, func(tx *keystore.Tx) error {     // one effect: state, audit record and counters together
//		head, err := tx.Get(keystore.Key("group", 7))
//		…
//		tx.Audit(record)
//		return tx.Put(keystore.Key("member", 7, 12), value)
//	})                                                    // nil: it is on the disk
//
//	err = s.View(func(r keystore.Reader) error { … })     // what is durable now, one consistent snapshot
//
// A name is a kind and numbers ([Key]); it stays readable in the file, so it must say nothing secret. [Store.Index] turns a text
// into such a number without revealing it. Values are sealed with XChaCha20-Poly1305; the name of the record and its version
// are associated data, so that a value cannot be moved to another record.
//
// # How effects are ordered
//
// The functions given to [Store.Update] run one after another, each exactly once, on the goroutine of its caller and over an
// overlay of its own. A function sees everything that functions before it have written, also while that is still on its way
// to the disk; a function that fails leaves nothing. What succeeded is collected while the commit before it is being written,
// then sealed, chained into the audit log and committed together: one commit, however many effects. Update returns when the
// effect is durable, or with an error:
//
//   - the function's own error, [ErrTooLarge], [ErrName], the context's error before the function ran: nothing happened;
//   - [ErrNotApplied] (for example [ErrDiskFull]): this commit and the effects that were built on it are undone; later ones may succeed;
//   - [ErrOutcomeUnknown]: the disk may hold the effect or not. The store refuses everything from then on ([Store.Done] is closed):
//     close it, open it again and read what is there.
//
// A function must not wait, use the network, sign, or call View or Update of the same store.
//
// # What must not be lost
//
// Sequence numbers are reserved in blocks, see [Store.Sequence]. After opening, [Store.Restart] says whether the program before
// stopped cleanly and whether the data is provably the newest, which needs an [Anchor] outside the data directory: a file that
// was copied back, or a virtual machine that was set back, looks exactly like a restart otherwise.
package keystore
