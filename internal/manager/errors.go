package manager

import (
	"errors"
	"fmt"
)

// Kind classifies every refusal of this package. The list is closed: an adapter
// maps each Kind exactly once, to a CoAP response (code, Content-Format and
// ace-groupcomm-error of RFC 9594, Section 9) and to an HTTP status.
type Kind uint8

// The kinds. The comment gives the CoAP answer that the texts ask for.
const (
	// KindInternal is a fault of the Group Manager itself: 5.00.
	KindInternal Kind = iota
	// KindUnavailable means not started, stopping, or fenced: 5.03.
	KindUnavailable
	// KindUnauthorized means no valid access token: 4.01 (RFC 9594, Section 4.1.2).
	KindUnauthorized
	// KindForbidden means a token that does not cover the operation: 4.03 without an error id.
	KindForbidden
	// KindNotFound means no such group or node: 4.04 without an error id.
	KindNotFound
	// KindMalformed means a request that cannot be processed: 4.00 without an error id.
	KindMalformed
	// KindJoinInfo means a join request that lacks something the reply tells:
	// 4.00 with a map of the group's parameters in Error.Info
	// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.2).
	KindJoinInfo
	// KindNotMember is error id 0, 4.03.
	KindNotMember
	// KindRole is error id 1, 4.00: the member's roles do not fit the operation.
	KindRole
	// KindCredential is error id 2, 4.00: the credential does not fit the group.
	KindCredential
	// KindProof is error id 3, 4.00: the proof of possession is not valid.
	KindProof
	// KindNoIndividualKey is error id 4, 5.03: no Sender ID is free under this Gid.
	KindNoIndividualKey
	// KindTerminated is error id 5, 4.04: the membership was ended by the Group Manager.
	KindTerminated
	// KindDeleted is error id 6, 4.04: the group was deleted.
	KindDeleted
	// KindNoSignatures is error id 7, 4.00: the group uses no signatures.
	KindNoSignatures
	// KindVerifiersOnly is error id 8, 4.03: the operation is for signature verifiers.
	KindVerifiersOnly
	// KindInactive is error id 9, 5.03: the group is not active.
	KindInactive
	// KindActive is error id 10, 4.00: the group is active.
	KindActive
	// KindNameUnavailable is error id 11, 5.03: no group name could be determined.
	KindNameUnavailable
	// KindConfiguration is error id 12, 5.03: the group configuration is not supported.
	KindConfiguration
	// KindConflict means that the state changed meanwhile or forbids the change: 4.09.
	KindConflict
	// KindExhausted means that a number space or a configured bound is used up: 5.03.
	KindExhausted
	kindCount
)

var kindNames = [kindCount]string{
	"internal", "unavailable", "unauthorized", "forbidden", "not found", "malformed",
	"join information", "members only", "role", "credential", "proof of possession",
	"no individual keying material", "membership terminated", "group deleted",
	"no signatures", "signature verifiers only", "group inactive", "group active",
	"group name unavailable", "group configuration", "conflict", "exhausted",
}

// String gives the kind's name, for logs and audit records.
func (k Kind) String() string {
	if k >= kindCount {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Kinds lists every kind, so that an adapter can prove that it maps all of them.
func Kinds() []Kind {
	out := make([]Kind, 0, kindCount)
	for k := Kind(0); k < kindCount; k++ {
		out = append(out, k)
	}
	return out
}

// Error is what every method of Service returns when it refuses or fails.
type Error struct {
	Kind   Kind
	Detail string // safe to send to an authenticated peer: no key material, no identities of others
	Info   []byte // KindJoinInfo: the map for Content-Format 261
	Err    error  // the cause, for the log only
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of any error: that of the first *Error in the chain,
// else KindInternal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// refuse makes an Error without a cause.
func refuse(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// fault makes an Error with a cause that stays in the log.
func fault(k Kind, err error, detail string) *Error {
	return &Error{Kind: k, Detail: detail, Err: err}
}
