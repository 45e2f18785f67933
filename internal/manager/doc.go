// Package manager is the domain of the Group Manager: groups and their keying
// material, members, rekeying, and what a crash must not undo (RFC 9594,
// draft-ietf-ace-key-groupcomm-oscore-21). It has no sockets, no HTTP and no
// files: adapters translate its methods and implement its ports.
//
// # Use
//
//	s, err := manager.New(store, manager.Options{Rand: rand.Reader, Delivery: …})
//	err = s.Start(ctx)      // rekeys every group of an old store; nothing is served before
//	defer s.Stop()
//
// Operators call CreateGroup, SetActive, Evict, Rekey, Members, Pending …; the
// CoAP side calls Join, Material, Credentials, StaleSIDs, Leave … with a
// [Caller], which is what the verified association of a request proves. Service
// is also the [ace.TokenStore] of the Resource Server. Every refusal is an
// [Error] of a [Kind] from one closed list.
//
// # One effect, one transaction
//
// Each effect is one transaction with its audit record, durable before the
// method returns. Proofs of possession are made and verified before it, and
// what they rest on is read again inside. Effects that grow with the number of
// members are an intent and steps that a restart resumes: the eviction of many
// (each step marks the group as due for rekeying), the deletion of a group, the
// end of expired tokens.
//
// # Nothing is given out twice
//
// Gids, versions, node names, clients, tokens and associations are numbered by
// counters that only grow, raised in the transaction that first uses the value.
// Sender IDs go round their space and are never given out twice under one Gid.
// Group names and Gids are found again through index records; the names of
// records hold numbers only, see names.go.
//
// # Rekeying
//
// A rekeying changes the head of the group and nothing of its members, in one
// transaction; delivery is not part of it. The delivery loop then hands each
// member the newest version, with retries and an end. What a member is known to
// hold is in its own record and changes only when a message of that member that
// verified shows it; see [Stage].
package manager
