// Command bench measures what Cohort promises about speed and memory, each
// figure beside a floor taken in the same run: the least that the work could
// cost, such as one signature by the standard library. Ratios to a floor hold
// from machine to machine, and while others use the machine; bare numbers do
// not.
//
//	go run ./bench                  table
//	go run ./bench -o markdown      a table for each suite, as in docs/performance.md
//	go run ./bench -o json          array of {name, value, unit, floor, ratio, goal, met, note}
//	go run ./bench -only pairwise   the suites whose name contains that word
//
// Operations of a suite and their floors run by turns, in batches of about a
// millisecond, many rounds; of each the fastest batch counts, which is the one
// that was disturbed least. Messages are made before the clock starts; 64 bytes
// of payload, Ed25519, AES-CCM-16-64-128, credentials of 100 bytes.
//
// The suites manager, served and ace measure whole programs instead: clients ask
// at once, and processor time is counted as well as time, since that is what
// others who use the machine change least. The note of a figure says what the
// limit was: CPU (and whose), fsync, a full receive buffer, or the network.
//
//	go run ./bench -only manager -profiles DIR   CPU profiles of its tasks too
//
// Nothing is asserted: a figure that misses its goal is shown as such, and the
// command exits 0. No test depends on it. A new suite is one file with one
// function, entered in suites.
package main
