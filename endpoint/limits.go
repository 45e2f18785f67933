package endpoint

import "time"

// Transmission parameters of RFC 7252, Section 4.8, and what follows from
// them.
const (
	// DefaultACKTimeout is ACK_TIMEOUT: the least time before the first
	// retransmission.
	DefaultACKTimeout = 2 * time.Second
	// DefaultMaxRetransmit is MAX_RETRANSMIT.
	DefaultMaxRetransmit = 4
	// DefaultNSTART is how many requests may be outstanding to one peer.
	DefaultNSTART = 1
	// DefaultLeisure is DEFAULT_LEISURE: answers to group requests are spread
	// over this time.
	DefaultLeisure = 5 * time.Second

	ackRandomFactor = 1.5
	maxLatency      = 100 * time.Second
	// maxMaxRetransmit keeps the times that follow from MAX_RETRANSMIT, which
	// double with each, within bounds.
	maxMaxRetransmit = 10
)

// Local limits. Each bounds memory that strangers can make an endpoint use.
const (
	// maxDatagram is the size of the read buffer: what UDP can carry.
	maxDatagram = 65535
	// maxDiagnostic is how much of a diagnostic text is kept.
	maxDiagnostic = 256

	// defaultWorkers handlers run at once. They may wait for other machines,
	// so there are many more than processors.
	defaultWorkers = 64
	// defaultQueue requests wait for a worker: one burst of a busy fleet.
	defaultQueue = 1024
	// defaultDedup is how many served requests are remembered.
	defaultDedup = 16384
	// defaultDedupBytes bounds the answers kept with them, in bytes.
	defaultDedupBytes = 8 << 20
	// plainShare is the part of the memory for duplicates that unprotected
	// requests, which anybody can send, may use: one in plainShare.
	plainShare = 8
	// defaultExchanges is how many requests a client may have outstanding.
	defaultExchanges = 4096
	// defaultPendingLeisure is how many group responses wait for their time.
	defaultPendingLeisure = 1024
	// defaultResponseQueue is how many responses to one group request wait
	// for the caller to take them.
	defaultResponseQueue = 1024
	// unicastQueue is the same for a request with one response: the response
	// itself and a few forgeries.
	unicastQueue = 8
	// defaultProbingRate is PROBING_RATE, in bytes per second.
	defaultProbingRate = 1
	// maxSilent is how many addresses that do not answer are remembered.
	maxSilent = 1024
	// protectionOverhead is what header, token and OSCORE add to a request, in
	// bytes, about.
	protectionOverhead = 32
	// maxSeparate is how many separate responses are retransmitted at once;
	// more are sent only once.
	maxSeparate = 4096
	// recentResponses is how many received responses are remembered, so that
	// copies are acknowledged again and not delivered again.
	recentResponses = 4096
	// defaultParked is how many messages wait for a credential.
	defaultParked = 64
	// defaultParkTime is how long.
	defaultParkTime = 5 * time.Second
	// parkedPerSender keeps one unknown Sender ID from using all of it.
	parkedPerSender = 8

	// defaultACKDelay is when a request that still is in work gets its empty
	// acknowledgement: well below ACK_TIMEOUT.
	defaultACKDelay = 500 * time.Millisecond
	// collectSlack is added to the leisure when a group request has no
	// deadline: time to travel and to be processed.
	collectSlack = 2 * time.Second
)
