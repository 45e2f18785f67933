// Package ace holds the messages and the rules of the ACE framework (RFC 9200) with its OSCORE profile (RFC 9203), for access
// to OSCORE groups: what a Client, an Authorization Server and a Resource Server such as a Group Manager send each other, and
// how the latter judges a token. It has no sockets and no storage.
//
// A Client asks for a token with a [TokenRequest] and gets a [TokenResponse]; it gives the token to the Resource Server in an
// [AuthzInfoRequest] and gets an [AuthzInfoResponse]; from both, [OSCOREInputMaterial.ClientContext] derives the Security
// Context with the Resource Server. What a device needs to begin with is in its [Enrolment].
//
// An Authorization Server makes [Claims] into a token with [SealToken], or with [SignToken] and [SealSignedToken] where several
// are to verify it. A Resource Server of another process is given an [RSEnrolment].
//
// A Resource Server runs a [ResourceServer]: PostToken for the unprotected posts, Confirm at the first request that verifies
// with the new context, Update for posts that change rights, Inspect to look at a token without consequences. Each reason not to
// take a token is a [Refusal] with one answer. Its associations are kept by a [TokenStore]. Optional are [ClientNonces], an
// [ExiTable] for tokens that live from their arrival, and an [Introspector].
//
// What a token permits is a [Scope] of [Roles] in groups. The messages by which one then joins a group are in package
// groupcomm, the list of revoked tokens in package trl, and the scopes of resources in general in package aif.
//
// # What must be kept
//
// A Resource Server keeps each confirmed [Association] durably, and the sequence numbers of its context. Pending ones are
// never kept. A Client keeps its token and input material as long as it wants to post the token again, and no nonce: they are
// random, so that none repeats after a restart.
package ace
