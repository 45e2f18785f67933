// Package anchorfile keeps the anchor of a store in a file of its own, outside the data directory.
//
// It belongs on a medium that is not set back together with the data: another volume than the one that is snapshotted,
// or the host's when the data is in a container. Then a data file that was copied back, or a virtual machine that was
// rolled back, is noticed at the next start.
package anchorfile
