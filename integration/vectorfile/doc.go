// Package vectorfile reads test vectors of OSCORE and Group OSCORE: exchanges
// recorded with Californium (one JSON shape) and with aiocoap (another), and
// collections of accept/reject cases. [Parse] decides by content which shape a
// file has and gives all of them in one form; it knows nothing of names and
// directories.
//
// Byte strings are lower-case hexadecimal in the files, algorithms are COSE
// numbers.
package vectorfile
