// Command bench measures what Cohort promises about speed and memory, each
// figure beside a floor taken in the same run: the least that the work could
// cost, such as one signature by the standard library. Ratios to a floor hold
// from machine to machine, and while others use the machine; bare numbers do
// not.
//
//	go run ./bench                  table
//	go run ./bench -o json          array of {name, value, unit, floor, ratio, goal, met}
//	go run ./bench -only pairwise   the suites whose name contains that word
//
// Operations of a suite and their floors run by turns, in batches of about a
// millisecond, many rounds; of each the fastest batch counts, which is the one
// that was disturbed least. Messages are made before the clock starts; 64 bytes
// of payload, Ed25519, AES-CCM-16-64-128, credentials of 100 bytes.
//
// Nothing is asserted: a figure that misses its goal is shown as such, and the
// command exits 0. No test depends on it. A new suite is one file with one
// function, entered in suites.
package main
