// Package oscore protects CoAP messages end to end, as RFC 8613 says (Object
// Security for Constrained RESTful Environments).
//
// # What to use first
//
// A [Context] is shared by two endpoints: [Params] from the outside, one
// [Sequence] for the numbers it sends. Then four methods:
//
//	client                      server
//	ProtectRequest      ──────► UnprotectRequest
//	UnprotectResponse   ◄────── ProtectResponse
//
// Each side keeps the [Exchange] of a request until the last response to it:
// it holds what binds the two together. All methods are pure over the context
// and the message. Nothing here opens a socket, starts a goroutine or reads a
// clock, and only [Sequence.Reserve] does input or output, through a store.
//
// # What must be persisted
//
// Two messages under one key and nonce break the cipher, so a Sender Sequence
// Number must never be used twice, a crash included. Whoever keeps a context
// over a restart
//
//   - stores the inputs of the context, [Params], where keys are kept;
//   - gives a [SequenceStore], and calls [Sequence.Reserve] when
//     [Sequence.NeedsReserve] says so; after the restart the sequence begins
//     at the stored mark ([NewSequence]);
//   - after anything but a clean stop calls [Context.Invalidate], since it no
//     longer knows what it has received: requests are then answered with an
//     Echo challenge until one is fresh ([Context.ConfirmFresh]). At a clean
//     stop [Context.StopWindow] gives the window for [Context.RestoreWindow].
//
// Whoever keeps nothing derives a new context at each start, with
// [NewB2Client] and [NewB2Server] (Appendix B.2), and takes
// [NewEphemeralSequence].
//
// # Errors
//
// Sentinels tell apart what a caller branches on; [ErrorResponse] says what a
// server may answer in the clear. To the network all decryption failures look
// alike. Neither errors nor printed values hold key material.
//
// # For other packages
//
// [DeriveKey], [AppendNonce] and [Sequence] also serve Group OSCORE.
package oscore
