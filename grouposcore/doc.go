// Package grouposcore is Group OSCORE: protection of CoAP messages between the
// members of a group, end to end, in group mode (signed, readable by every
// member) and in pairwise mode (between two members). It implements
// draft-ietf-core-oscore-groupcomm-28.
//
// # What to use first
//
// A [Group] is what an application holds: it keeps the current [Context] and,
// for a while after a rekey, the previous one. A Context is one Security
// Context: the material of one Gid, the endpoint's own identity and the peers
// heard so far.
//
//	ctx, err := grouposcore.NewContext(params, identity, sequence, credentials)
//	g := grouposcore.NewGroup(ctx)
//
//	out, x, err := g.ProtectRequest(m, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
//	…send; for each answer…
//	in, sender, err := g.UnprotectResponse(answer, x, time.Now())
//
// and on the other side
//
//	in, x, sender, err := g.UnprotectRequest(m, time.Now())
//	…
//	out, err := g.ProtectResponse(answer, x, grouposcore.ResponseOptions{Mode: grouposcore.PairwiseMode})
//
// Protect and Unprotect are functions of the context and the message: no
// sockets, no goroutines, no waiting. An [Exchange] binds responses to their
// request, on both sides. All types are safe for concurrent use.
//
// # Who a peer is
//
// The kid of a message is a look-up key. Who sent it is [Sender].Credential:
// the credential whose key verified the message. Credentials come from a
// [CredentialSource], which only looks up; on [ErrNoCredential] the owner
// fetches the credential and tries the message again.
//
// # What must be persisted
//
// The parameters, the Sender ID and the high-water mark of the Sender Sequence
// Number (see oscore.Sequence) for as long as the Gid lives. Replay windows may
// be lost: set [Params].WindowsLost then, and every peer has to show by the
// Echo option that it is fresh.
//
// # Replay windows that are not valid
//
// Once a Recipient Context was deleted, new ones start with an invalid window.
// A request under one is verified but not delivered: UnprotectRequest returns
// it beside [ErrWindowInvalid]. The server answers with a protected 4.01 and an
// Echo option; the request that echoes it is again returned with
// ErrWindowInvalid, and after comparing the value the server calls
// [Context.ConfirmFresh] and delivers it (Section 9).
//
// How much a server wants to know about the freshness of requests is the group's
// [Freshness] policy. Responses are another matter: see docs/adr/0034.
//
// # What a key pair is for
//
// A key pair that signs and agrees is used for nothing but Group OSCORE: messages
// and proofs of possession (Section 2.5). Make one for the purpose; a library
// cannot see what else a key is used for.
//
// # Strength of countersignatures
//
// A countersignature covers the ciphertext. With an AEAD as Group Encryption
// Algorithm, that two plaintexts cannot share a ciphertext rests on the tag: an
// 8-byte tag gives 32 bits of collision security, and 128 bits would need a tag
// of 256 bits (Section 14.16; [Params.CollisionSecurity]). An insider who finds such a pair could show
// different readings of one signed message to different members.
package grouposcore
