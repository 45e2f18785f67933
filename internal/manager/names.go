package manager

import (
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// Names of the records of this package. Kinds are visible in the store, so they
// say nothing secret; numbers are counters that only grow (group, then a
// sequence number), so that writes stay close together.
//
//	gm                      counters and fixed parameters of the manager
//	gm-key/alg/crv/fmt/gen  key pair of the Group Manager
//	gm-key-gen/alg/crv/fmt  generation in use; absent: 0
//	group/g                 head of a group
//	group-name/hash         name of a group -> g
//	gid/n                   counter value of a current Gid -> g
//	member/g/n              membership
//	member-of/c/g           client c in group g -> n
//	sender/g/s              Sender ID s in group g -> n
//	birth/g/e/n             member n joined when the Gid had epoch e, counted over all bases
//	stale/g/v/s             Sender ID s was given up under version v
//	notice/g/n              eviction notice owed
//	client/c                a client of the AS: its tokens and associations
//	client-name/hash        identity of a client -> c
//	token-hash/hash         hash of a token -> c
//	expiry/unix/t           token t of client -> c
//	assoc/a                 inputs of an association
//	assoc-seq/a             sequence numbers reserved for it
func nameManager() keystore.Name { return keystore.Key("gm") }

func nameManagerKey(k keySlot) keystore.Name {
	return keystore.Key("gm-key", zigzag(int64(k.Algorithm)), zigzag(int64(k.Curve)), zigzag(int64(k.Format)), k.Generation)
}

func nameManagerKeys() keystore.Name { return keystore.Key("gm-key") }

// slotOf gives the kind of the key pair of a record, in its first generation.
func slotOf(n keystore.Name) keySlot {
	return keySlot{
		Algorithm: cose.Algorithm(unzigzag(n.ID(0))), Curve: cose.Curve(unzigzag(n.ID(1))), Format: cose.CredentialFormat(unzigzag(n.ID(2))),
	}
}

func nameManagerKeyGeneration(k keySlot) keystore.Name {
	return keystore.Key("gm-key-gen", zigzag(int64(k.Algorithm)), zigzag(int64(k.Curve)), zigzag(int64(k.Format)))
}

func nameGroup(g uint64) keystore.Name         { return keystore.Key("group", g) }
func nameGroups() keystore.Name                { return keystore.Key("group") }
func nameGid(n uint64) keystore.Name           { return keystore.Key("gid", n) }
func nameMember(g, n uint64) keystore.Name     { return keystore.Key("member", g, n) }
func nameMembers(g uint64) keystore.Name       { return keystore.Key("member", g) }
func nameMemberOf(c, g uint64) keystore.Name   { return keystore.Key("member-of", c, g) }
func nameMembershipsOf(c uint64) keystore.Name { return keystore.Key("member-of", c) }
func nameSender(g, s uint64) keystore.Name     { return keystore.Key("sender", g, s) }
func nameBirth(g, e, n uint64) keystore.Name   { return keystore.Key("birth", g, e, n) }
func nameBirths(g, e uint64) keystore.Name     { return keystore.Key("birth", g, e) }
func nameStale(g, v, s uint64) keystore.Name   { return keystore.Key("stale", g, v, s) }
func nameStaleSet(g, v uint64) keystore.Name   { return keystore.Key("stale", g, v) }
func nameStaleGroup(g uint64) keystore.Name    { return keystore.Key("stale", g) }
func nameNotice(g, n uint64) keystore.Name     { return keystore.Key("notice", g, n) }
func nameAllNotices() keystore.Name            { return keystore.Key("notice") }
func nameClient(c uint64) keystore.Name        { return keystore.Key("client", c) }
func nameExpiry(unix int64, t uint64) keystore.Name {
	return keystore.Key("expiry", uint64(max(unix, 0)), t)
}
func nameExpiries() keystore.Name               { return keystore.Key("expiry") }
func nameAssociation(a uint64) keystore.Name    { return keystore.Key("assoc", a) }
func nameAssociations() keystore.Name           { return keystore.Key("assoc") }
func nameAssociationSeq(a uint64) keystore.Name { return keystore.Key("assoc-seq", a) }

// keySlot names a key pair of the Group Manager: one per signature algorithm
// (0 for groups without signatures), curve and credential format, and generation.
type keySlot struct {
	Algorithm  cose.Algorithm
	Curve      cose.Curve
	Format     cose.CredentialFormat
	Generation uint64
}

// zigzag maps registry values, which may be negative, to the numbers of names.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
