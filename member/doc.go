// Package member is the device's side of a group: it is authorised by the
// Authorization Server, joins groups at the Group Manager, talks to them with
// Group OSCORE, follows their rekeyings and leaves.
//
// # What to use first
//
//	d, err := member.Open(ctx, member.Config{Enrolment: enrolment, Store: store, Listen: addr})
//	d.Handle("/light", endpoint.AcceptGroup|endpoint.AcceptPairwise, handler)
//	g, err := d.Join(ctx, member.JoinOptions{Group: "hall", Roles: ace.RoleRequester, Address: group})
//
//	for a, err := range g.Request(ctx, member.Request{Code: codes.GET, Path: "/light"}) {
//		// a.Sender says whose key signed the answer
//	}
//	a, err := g.Unicast(ctx, peer, member.Request{Code: codes.PUT, Path: "/light", Payload: on})
//
// An Enrolment is the file an operator made with "groupmanager device enroll".
// Everything else the device finds out by itself.
//
// # What runs by itself
//
// Open starts the endpoint's goroutines and one of the device, which reserves
// sequence numbers, fetches the credentials of members not heard before, asks
// for the current version of the keys as often as the group's policy says, and
// recovers when a rekeying was missed. Close ends them.
//
// # What must be persisted
//
// The store holds the device's private key, and for each group its keying
// material with a mark above every sequence number used. It must be sealed and
// never copied: two devices with one store would use numbers twice. The
// association with the Group Manager is made anew at each start.
//
// # After a restart
//
// Replay windows are not stored, so they are lost with the process. A member
// that answers requests asks the Group Manager for a new Sender ID before it
// goes on (draft-ietf-core-oscore-groupcomm-28, Section 2.6.1.1), and accepts
// a request only after the sender proved by the Echo option that it is fresh.
// A member that only sends goes on with its stored sequence number.
package member
