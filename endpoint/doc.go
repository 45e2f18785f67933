// Package endpoint is a CoAP endpoint, client and server, over UDP, unicast and
// multicast (RFC 7252, draft-ietf-core-groupcomm-bis), over TCP (RFC 8323) and
// over DTLS with pre-shared keys, made for OSCORE and Group OSCORE.
//
// # Serving
//
// Make a [Mux], say for each resource how requests must be protected, and give
// it to [New] with the security contexts:
//
//	m := endpoint.NewMux()
//	m.Handle("/light", endpoint.AcceptGroup|endpoint.AcceptPairwise, handler)
//	ep, err := endpoint.New(endpoint.Config{
//		Unicast: netip.MustParseAddrPort("192.0.2.7:5683"),
//		Groups:  []endpoint.MulticastGroup{{Addr: group, Interface: "eth0"}},
//		Handler: m,
//		Openers: []endpoint.RequestOpener{contexts},
//	})
//
// Handlers are those of go-coap's mux package; [PeerFrom] tells them who sent
// the request. Requests of one peer are verified in the order they came, and a
// peer with many or slow ones keeps nobody else from being served. Handlers run on
// a bounded number of workers and may take their time:
// a confirmable request is acknowledged meanwhile, and its response sent
// separately. What was answered once is answered again from memory, with the
// same bytes, and not served again.
//
// # Asking
//
//	resp, err := ep.Do(ctx, endpoint.Request{To: peer, Code: codes.GET, Path: "light", Security: endpoint.WithOSCORE(c)})
//
// [Endpoint.Do] sends a request to one peer and [Endpoint.DoMulticast] to a
// group, whose answers it yields as they verify. [Request].Security says how a
// request is protected, once: retransmissions are the same bytes. A peer that
// asks for freshness by an Echo option is answered without the caller's help.
//
// Bodies of any length travel block by block (RFC 7959), above OSCORE and with
// nothing to do for callers and handlers, who see them whole; the further blocks
// of an answer to a group request are fetched from each server by unicast.
//
// # Observing
//
//	m.Handle("/temperature", endpoint.AcceptOSCORE, endpoint.Observable(handler))
//	…
//	ep.Notify("/temperature") // the state has changed
//
// The handler of an [Observable] resource runs again for each observer when
// [Endpoint.Notify] says that its state changed, and what it answers is the
// notification. Clients use
//
//	for resp, err := range ep.Observe(ctx, endpoint.Request{To: peer, Code: codes.GET, Path: "temperature", Security: sec}) {
//
// which yields the newest state now and whenever it changes, renews the
// registration in time and ends it with the loop. To may be a group: then all
// its members are observed (RFC 7641; draft-ietf-core-groupcomm-bis,
// Section 3.7).
//
// # Security
//
// The endpoint knows no cryptography. It asks [RequestOpener]s and [Protector]s.
// [Contexts] is the opener for OSCORE contexts and groups; [WithOSCORE],
// [WithGroup], [WithPairwise] and [WithB2] make protectors. Durable state is not
// kept here: whoever owns a context reserves its sequence numbers
// ([Contexts].SequenceLow says when responses use them up) and fetches missing
// credentials ([Config].CredentialWanted, [Endpoint.CredentialReady]).
//
// It never answers a group request with an error in clear, keeps nothing for
// strangers but what Config bounds, and starts no goroutine for them. To an
// address that nobody has shown to be his it sends no more than three times what
// came from there ([Config].Amplification). What it
// drops silently it counts: see [Meter].
//
// # Transports
//
// [Config].TCP and [Config].DTLS say where connections and sessions are accepted
// and with which keys. [Request].Via says how a request travels, and
// [Request.SetURI] takes it from a URI such as "coap+tcp://192.0.2.7/light".
// Connections and sessions are opened when they are needed and shared. By TCP a
// body goes whole if the peer takes it, or several kilobytes at a time. To
// handlers all is alike; [Peer].Via and [Peer].Identity tell the difference, and
// [AcceptDTLS] makes a resource want it.
package endpoint
