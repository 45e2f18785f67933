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
// [Group.Observe] follows a resource of other members. [Device.Verifier] is for
// gateways that are no members. [Group.RenewKey] replaces the device's key pair.
//
// An Enrolment is the file an operator made with "groupmanager device enroll".
// Everything else the device finds out by itself.
//
// # What runs by itself
//
// Open starts the endpoint's goroutines and one for each group, which reserves
// sequence numbers, asks for a new token and a new Sender ID in time, fetches
// the credentials of members not heard before, asks for the current version of
// the keys as often as the group's policy says and when something hints at a
// missed rekeying, and drops keys that are over. What fails at the Group Manager
// is tried again after growing times, part of which is random. Close ends all.
// New keys come to the control resource, or by observation: see [Rekeying].
// Config.OnEvent is told what happened; Group.Done says that a membership ended.
//
// # What must be persisted
//
// The store holds the device's private key, and for each group its keying
// material with a mark above every sequence number used. It must be sealed and
// never copied: two devices with one store would use numbers twice. The
// association with the Group Manager is made anew at each start. While a device
// is at work it writes when the keys change, when a member is heard first, and
// once for each block of sequence numbers.
//
// # After a restart
//
// A member that only sends goes on at once. So does one that answers if it was
// closed: Close stores its Replay Windows. After a loss of power it asks the
// Group Manager for a new Sender ID before it goes on
// (draft-ietf-core-oscore-groupcomm-28, Section 2.6.1.1), and accepts a request
// only after the sender proved by the Echo option that it is fresh. A monitor
// cannot ask for that and hears nothing before the next rekeying.
//
// A device whose membership ended while it was off, since its token ran out
// meanwhile, joins again. See docs/adr/0090 and 0091.
package member
