package cborx

// Local limits of decoding. They bound the work that one input can cause.
const (
	// MaxNesting is the depth of arrays, maps and tags within one another. The
	// deepest object of the protocols in use, a tagged token with a confirmation
	// key, needs eight.
	MaxNesting = 16
	// MaxSize is the length of an input in bytes: room for a list of 20 000
	// credentials of 200 bytes.
	MaxSize = 4 << 20
	// MaxElements is the number of elements of one array or of pairs of one map.
	MaxElements = 1 << 16
)
