package authserver

import (
	"github.com/cohort-iot/cohort/keystore"
)

// Names of the records of this package. They hold numbers only. A requester q of the revocation list is two numbers: the kind of
// the peer and its own.
//
//	as                      counters
//	as-signing              keys that sign tokens
//	as-policies             policies
//	as-admins               clients that are administrators
//	as-client/c             client c
//	as-client-name/hash     name of a client -> c
//	as-rs/r                 resource server r
//	as-rs-name/hash         audience of a resource server -> r
//	as-material/m           input material m: of which client, for which resource server
//	as-token/t              token t, without its bytes
//	as-token-hash/hash      hash of a token -> t
//	as-token-of/c/t         token t of client c
//	as-token-end/unix/t     when token t ends
//	as-trl/t                token t is on the list of revoked ones
//	as-trl-head/q           which updates are kept for requester q
//	as-trl-update/q/n       update n of requester q
func nameCounters() keystore.Name               { return keystore.Key("as") }
func nameSigning() keystore.Name                { return keystore.Key("as-signing") }
func namePolicies() keystore.Name               { return keystore.Key("as-policies") }
func nameAdmins() keystore.Name                 { return keystore.Key("as-admins") }
func nameClient(c uint64) keystore.Name         { return keystore.Key("as-client", c) }
func nameClients() keystore.Name                { return keystore.Key("as-client") }
func nameClientName(h uint64) keystore.Name     { return keystore.Key("as-client-name", h) }
func nameRS(r uint64) keystore.Name             { return keystore.Key("as-rs", r) }
func nameAllRS() keystore.Name                  { return keystore.Key("as-rs") }
func nameRSName(h uint64) keystore.Name         { return keystore.Key("as-rs-name", h) }
func nameMaterial(m uint64) keystore.Name       { return keystore.Key("as-material", m) }
func nameToken(t uint64) keystore.Name          { return keystore.Key("as-token", t) }
func nameTokens() keystore.Name                 { return keystore.Key("as-token") }
func nameTokenHash(h uint64) keystore.Name      { return keystore.Key("as-token-hash", h) }
func nameTokenOf(c, t uint64) keystore.Name     { return keystore.Key("as-token-of", c, t) }
func nameTokensOf(c uint64) keystore.Name       { return keystore.Key("as-token-of", c) }
func nameTokenEnd(unix, t uint64) keystore.Name { return keystore.Key("as-token-end", unix, t) }
func nameTokenEnds() keystore.Name              { return keystore.Key("as-token-end") }
func nameTRL(t uint64) keystore.Name            { return keystore.Key("as-trl", t) }
func nameWholeTRL() keystore.Name               { return keystore.Key("as-trl") }
func nameTRLHead(q Peer) keystore.Name          { return keystore.Key("as-trl-head", uint64(q.Kind), q.Number) }
func nameTRLUpdates(q Peer) keystore.Name {
	return keystore.Key("as-trl-update", uint64(q.Kind), q.Number)
}
func nameTRLUpdate(q Peer, n uint64) keystore.Name {
	return keystore.Key("as-trl-update", uint64(q.Kind), q.Number, n)
}

// Domains of the store's index of texts.
const (
	domainClient = "as-client-name"
	domainRS     = "as-rs-name"
	domainHash   = "as-token-hash"
)
