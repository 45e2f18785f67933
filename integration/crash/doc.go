// Package crash kills a running Group Manager at random moments, again and again,
// and shows that nothing which it gave out before is given out again, and that
// nothing which it promised is lost.
//
// The Group Manager is the real command in a process of its own, with its store
// on a disk and real sockets; kill -9 ends it. Between it and the devices, which
// are of this package and speak the protocol step by step, stands a relay that
// records every datagram, loses some and doubles some. After each kill
//
//   - every protected datagram is opened and entered into a ledger of keys and
//     nonces (package oracle): one key and nonce has one ciphertext;
//   - what the Group Manager handed out, also what never arrived, is entered into
//     another ([facts]): one Gid is one version with one secret, one Sender ID
//     under one Gid is one member, node names stay with their client;
//   - the restarted Group Manager is asked for its members, as operator and by the
//     devices themselves: whoever was told to be in is in, once; whoever was told
//     to be out is out, and does not know the key of now.
//
// A kill keeps the page cache, so this shows atomicity. That answers wait for
// the disk is shown by the order of system calls.
//
// COHORT_CRASH is the number of kills, by default few.
package crash
