// Package conformance holds the requirement tables of the specifications that
// Cohort implements, and works out from a test run which of them are proven.
//
// Each *.tsv file is one table. A row has four columns: id, section of the
// text, level (MUST, SHOULD and so on; DEF and FACT state behaviour that
// carries no keyword), and the requirement in our own words.
//
// A leaf subtest proves a row by carrying its id at the head of its name, up to
// the first space; several ids are joined by commas:
//
//	t.Run("GO-7.2-9 bad countersignature leaves the window", …)
//	t.Run("OS-7.4-1,OS-7.4-2 replayed number is refused", …)
//
// Ids on a test that has subtests count nothing. A row with a failing test
// anywhere is failing, whatever else passes.
//
// exceptions.tsv names the rows that do not apply, each with its reason.
//
// The command in conformance/report runs the tests and writes
// docs/conformance.md:
//
//	go run ./conformance/report
package conformance
