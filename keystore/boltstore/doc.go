// Package boltstore keeps a store in one bbolt file: the backend of a Group Manager, for up to millions of records and
// thousands of commits a second.
//
// The directory of the file must be 0700 and the file 0600; Open makes both when they are missing and refuses others. A
// lock file beside the data names the process that holds it.
package boltstore
