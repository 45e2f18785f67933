// Package roles has no code: its test runs an Authorization Server alone and a
// Group Manager alone, as two processes of the built command on the loopback
// interface, and devices of both. It shows what crosses from one to the other:
// the enrolment of the Group Manager, tokens, revocations within moments, a new
// token key while the old one still opens, and what a restart of either leaves.
package roles
