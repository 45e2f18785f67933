package keystore

import "errors"

// missing is the error for a record that is not there: ErrNotFound with its name. It is
// made often, where absence is an answer, and read seldom.
type missing Name

func (m missing) Error() string { return ErrNotFound.Error() + ": " + Name(m).String() }

// Is implements errors.Is.
func (missing) Is(target error) bool { return target == ErrNotFound }

// Errors on which callers branch. Errors of this package and of the backends wrap them.
var (
	// ErrNotFound says that there is no record of that name.
	ErrNotFound = errors.New("keystore: no such record")
	// ErrName says that a name is not one that Key makes, or belongs to the store itself.
	ErrName = errors.New("keystore: invalid record name")
	// ErrTooLarge says that a value, a function's effect or a scan inside Update passes its limit.
	ErrTooLarge = errors.New("keystore: effect too large")
	// ErrStop ends a scan early; the scan then returns nil.
	ErrStop = errors.New("keystore: stop")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("keystore: store is closed")
	// ErrNotApplied says that a commit failed and certainly changed nothing. The store stays usable.
	ErrNotApplied = errors.New("keystore: commit not applied")
	// ErrDiskFull is an ErrNotApplied whose cause is lack of space; reading goes on.
	ErrDiskFull = errors.New("keystore: no space left for the store")
	// ErrOutcomeUnknown says that a commit may have happened or not. The store is fenced; open it again.
	ErrOutcomeUnknown = errors.New("keystore: outcome of a commit is unknown, store must be reopened")
	// ErrFenced says that another process wrote to the store; this one may not go on.
	ErrFenced = errors.New("keystore: another process has written to the store")
	// ErrHeld says that another process holds the store; the text says which.
	ErrHeld = errors.New("keystore: store is in use")

	// ErrWrongKey says that the store is sealed under another key. It is not ErrCorrupt.
	ErrWrongKey = errors.New("keystore: wrong key for this store")
	// ErrCorrupt says that stored bytes are not what was written.
	ErrCorrupt = errors.New("keystore: stored data is corrupt")
	// ErrNewerSchema says that a newer program wrote the store.
	ErrNewerSchema = errors.New("keystore: store was written by a newer version of this program")
	// ErrOlderSchema says that the store must be migrated and no migration was given.
	ErrOlderSchema = errors.New("keystore: store was written by an older version of this program")
	// ErrInsecure says that the permissions or the place of a file would expose keys.
	ErrInsecure = errors.New("keystore: insecure file")
	// ErrEmpty says that there is no store where one must be (Options.Existing).
	ErrEmpty = errors.New("keystore: there is no store here")
	// ErrAnchor says that the anchor could not be read or written.
	ErrAnchor = errors.New("keystore: anchor failed")
	// ErrSequenceConflict says that a block of sequence numbers was reserved by somebody else, or backwards.
	ErrSequenceConflict = errors.New("keystore: sequence numbers already reserved")
	// ErrSequenceLost says that a sequence record was written before a rollback or a restore that was noticed: numbers
	// beyond it may have been used, so it serves no longer. New keys are the way out.
	ErrSequenceLost = errors.New("keystore: sequence numbers may be older than those used")
	// ErrBackup says that a backup is damaged, cut off, or not one.
	ErrBackup = errors.New("keystore: backup does not verify")
	// ErrAuditBroken says that the audit chain does not verify.
	ErrAuditBroken = errors.New("keystore: audit chain is broken")
)
