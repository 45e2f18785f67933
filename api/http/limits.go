package httpapi

import "time"

const (
	maxBody       = 64 << 10         // bytes of a request: the largest body is a policy of a few hundred groups
	maxAnswer     = 64 << 20         // bytes that a client reads of an answer: 100 000 members at some 500 bytes
	maxHeader     = 8 << 10          // bytes of a request's header
	readTimeout   = 10 * time.Second // a local process has no slow link
	idleTimeout   = time.Minute
	maxPath       = 107 // bytes of a Unix socket's path on Linux (unix(7))
	maxConcurrent = 64  // requests served at once; the operator's commands come one by one
)
