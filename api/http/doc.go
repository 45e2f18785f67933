// Package httpapi is the operator's channel to a Group Manager: HTTP with JSON
// bodies, on a Unix socket.
//
// [New] makes the handler from the domains that it puts on HTTP, [Listen] makes
// the socket, [Serve] serves the one on the other, and [Client] is what commands
// call it with. Who may call is decided by the uid of the process at the other
// end (see [Operators]); without that uid nothing is served.
//
// # Resources
//
//	GET    /v1/health
//	GET    /v1/groups                               list
//	POST   /v1/groups                               create
//	GET    /v1/groups/{group}                       show
//	PATCH  /v1/groups/{group}                       activate, deactivate, configure
//	DELETE /v1/groups/{group}                       delete
//	GET    /v1/groups/{group}/keys                  versions and times, never material
//	POST   /v1/groups/{group}/rekey                 new keying material; nobody is put out
//	POST   /v1/groups/{group}/keys/invalidate       put out whoever has not shown to hold the newest
//	GET    /v1/identities                           the Group Manager's own keys, never the private ones
//	POST   /v1/identities/{identity}/rotate         replace one; the groups that it serves are rekeyed
//	GET    /v1/groups/{group}/members               list
//	GET    /v1/groups/{group}/pending               members without the newest version
//	GET    /v1/groups/{group}/members/{node}        show
//	POST   /v1/groups/{group}/members/{node}/evict  evict
//	GET    /v1/devices                              list
//	POST   /v1/devices                              enrol
//	GET    /v1/devices/{device}                     show
//	POST   /v1/devices/{device}/revoke              revoke
//	GET    /v1/tokens                               list
//	POST   /v1/tokens/inspect                       what a token says, and whether it would be taken
//	POST   /v1/tokens/{hash}/revoke                 revoke
//	GET    /v1/resource-servers                     Group Managers that tokens are issued for
//	POST   /v1/resource-servers                     enrol one in another process
//	POST   /v1/resource-servers/{audience}/rotate   new token key
//	POST   /v1/resource-servers/{audience}/revoke   revoke
//	GET    /v1/authorization-servers                others whose tokens are taken
//	POST   /v1/authorization-servers                take the tokens of one
//	POST   /v1/authorization-servers/{issuer}/rotate  add its new keys
//	DELETE /v1/authorization-servers/{issuer}       take them no longer
//
// Requests are strict: unknown members, duplicate names, trailing bytes and
// other media types are refused. Every error is a problem (RFC 9457) with the
// member "hint", which says what to do.
//
// Keying material never leaves by this channel. The one secret that does is a
// new device's enrolment, once, in the answer to the request that makes it.
package httpapi
