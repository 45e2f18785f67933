// Package vectorrun runs test vectors (see package vectorfile) against oscore
// and grouposcore. Each message runs
//
//   - forward: protecting the unprotected message gives the protected bytes; of
//     an ECDSA countersignature, which is random, a receiver judges instead;
//   - backward: every receiver gets the unprotected message back;
//   - mutated: a flipped bit of the OSCORE option or payload is refused in Group
//     OSCORE; in RFC 8613 one of the payload, the Partial IV, or a request's kid
//     and kid context; a flip anywhere else never changes the inner message.
//
// An accept/reject case runs as its file says. What is not built yet is
// skipped with its reason, and a file that says of itself that it does not
// conform is run and reported, but does not count.
package vectorrun
