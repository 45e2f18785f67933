// Package trust is what a Resource Server such as a Group Manager believes of Authorization Servers: whose tokens it takes, and which
// of them were revoked. It has no sockets; its state is in a keystore.
//
// An operator adds an Authorization Server by the enrolment that it issued ([Service.Add]), adds keys when it rotates them
// ([Service.Rotate]) and removes it ([Service.Remove]). [Service.Trusted] is what the resource server of package ace is given.
//
// The list of revoked tokens of each Authorization Server is followed by [Service.Run], which observes it through a [Watcher] and
// besides asks through a [Source]: at intervals, and at once when a notification shows that one before it was lost. A hash that is learned is stored first; then the token ends
// through the port [Effect]; an effect that failed is tried again, also after a restart. The hash stays until the token was seen
// and has expired (RFC 9770, Section 11.1), so that [Service.Revoked] and [Service.Seen] keep a revoked token out for good.
//
// It also keeps, for the process, the tokens that live from their arrival ([ace.ExiStore]) and the latest time seen
// ([Service.Mark]): a clock that was set back makes no expired token valid.
package trust
