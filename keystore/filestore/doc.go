// Package filestore keeps a store in one small file without a database: the backend of a device.
//
// All records are held in memory; each commit writes the whole file anew under another name, flushes it, and renames it
// over the old one. After a crash at any point the file is the one before or the one after the commit, and damage is
// noticed by a checksum rather than taken for an unfinished commit. The size is bounded (MaxBytes, 1 MiB by default), so
// that wear and memory are: a member of ten groups needs a few tens of kilobytes and commits once per block of sequence
// numbers.
package filestore
