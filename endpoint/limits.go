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
	// smallDatagram is the longest request that needs no memory beside what is
	// noted of it: most protected ones.
	smallDatagram = 160
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
	// observeQueue is the same for an observation.
	observeQueue = 32
	// defaultProbingRate is PROBING_RATE, in bytes per second.
	defaultProbingRate = 1
	// maxSilent is how many addresses that do not answer are remembered.
	maxSilent = 1024
	// protectionOverhead is what header, token and OSCORE add to a request, in
	// bytes, about.
	protectionOverhead = 32
	// maxSeparate is how many separate responses are retransmitted at once, half of
	// them to who did not verify; more are sent only once.
	maxSeparate = 4096
	// maxReliefs is how many further sockets may be open for requests to peers
	// that are asked more often than a socket has Message IDs for.
	maxReliefs = 16
	// reliefLinger is how long such a socket stays open after its last use.
	reliefLinger = 10 * time.Second
	// maxFormerPorts is how many closed ones are remembered, so that their ports
	// are not used again at once; reliefTries how many ports are tried for that.
	maxFormerPorts = 1024
	reliefTries    = 8
	// maxSuspended is how many requests that verified wait for a copy of
	// themselves, since what comes before them failed.
	maxSuspended = 256
	// memoryParts are the parts of the memory for duplicates, a power of two.
	memoryParts = 64
	// maxStray is how many Resets that belong to nothing may come from an address
	// while something is outstanding there: what a device that lost its memory
	// may send, and far below the number of Message IDs.
	maxStray = 32
	// recentResponses is how many received responses are remembered, so that
	// copies are acknowledged again and not delivered again.
	recentResponses = 4096
	// defaultParked is how many messages wait for a credential.
	defaultParked = 64
	// defaultParkTime is how long.
	defaultParkTime = 5 * time.Second
	// parkedPerSender keeps one unknown Sender ID from using all of it.
	parkedPerSender = 8
	// parkedShare is the part of it that one source may use: one in parkedShare.
	parkedShare = 4
	// responsesPerSource is how many responses to a group request one address may
	// give, a few times what an honest one does.
	responsesPerSource = 16
	// maxSources is how many addresses may give any.
	maxSources = 1 << 16

	// defaultBlockSize is the payload of one block, in bytes: the largest, which
	// RFC 7252, Section 4.6, suggests for a message.
	defaultBlockSize = 1024
	// defaultMaxBody bounds one body: the credentials of a group of some ten
	// thousand members.
	defaultMaxBody = 4 << 20
	// maxMaxBody is what Block options can address with the smallest size.
	maxMaxBody = (maxBlockNum + 1) * 16
	// defaultBlockBytes bounds all bodies that are transferred at once.
	defaultBlockBytes = 32 << 20
	// defaultMaxUnfragmented is MAX_UNFRAGMENTED_SIZE: a block with all its
	// options fits, protected, and little more.
	defaultMaxUnfragmented = 2048
	// protectedOptions is what of a message of that size is left for options and
	// protection, so that the payload of a block is what remains.
	protectedOptions = 512
	// defaultObservations is how many observers are served, of 2 KB each.
	defaultObservations = 4096
	// defaultObservationsPerPeer keeps one peer from using all of it.
	defaultObservationsPerPeer = 128
	// defaultConfirmEvery is how many notifications go between two that ask for
	// an acknowledgement, counting one of them.
	defaultConfirmEvery = 8
	// confirmAfter is the longest time without one (RFC 7641, Section 4.5).
	confirmAfter = 24 * time.Hour
	// notifyInterval is the time between two notifications that are not
	// confirmable if the round trip is not known (RFC 7641, Section 4.5.1).
	notifyInterval = 3 * time.Second
	// renewAfter is the longest time between two registrations of an
	// observation (RFC 8613, Section 7.3).
	renewAfter = time.Hour
	// cancelWait is how long the end of an observation waits until it is its turn
	// to tell the server.
	cancelWait = 500 * time.Millisecond
	// renewRetry is when a registration that was not answered is tried again;
	// the time doubles up to renewRetryMax.
	renewRetry    = 10 * time.Second
	renewRetryMax = 10 * time.Minute
	// defaultAmplification is how many times longer than a request its answer
	// may be while the address it came from is not validated (RFC 9000,
	// Section 8, by way of RFC 9175, Section 2.4).
	defaultAmplification = 3
	// addressesKept is how many validated addresses are remembered, of peers
	// and of strangers each; addressLifetime for how long.
	addressesKept   = 8192
	addressLifetime = time.Hour

	// defaultACKDelay is when a request that still is in work gets its empty
	// acknowledgement: well below ACK_TIMEOUT.
	defaultACKDelay = 500 * time.Millisecond
	// defaultMaxToken is the longest token of a request, in bytes: what a proxy
	// needs to keep its state in the token, with room.
	defaultMaxToken = 256
	// plainTokens is how many remotes are remembered that know no tokens of
	// more than 8 bytes, and plainTokenTime how long.
	plainTokens    = 1024
	plainTokenTime = 30 * time.Minute // RFC 8974, Section 2.2.2

	// defaultConnections is how many TCP connections there may be.
	defaultConnections = 256
	// defaultMessageSize is the longest message taken from a connection.
	defaultMessageSize = 65536
	// defaultSendBuffer is how much may wait for a slow peer.
	defaultSendBuffer = 256 << 10
	// defaultIdleTime is when a silent peer is asked for a sign of life: below
	// the time after which common address translators forget it.
	defaultIdleTime = 5 * time.Minute
	// defaultPatience is how long a peer may take for what it has begun.
	defaultPatience = 10 * time.Second
	// leastIdle is how long a connection is safe from being ended for another.
	leastIdle = 10 * time.Second
	// farewellTime is how long a Release may take to be written.
	farewellTime = 100 * time.Millisecond
	// streamBuffer is the read buffer of a connection, which grows for larger
	// messages only.
	streamBuffer = 4096
	// leastMessageSize is the least Max-Message-Size of a peer that a response
	// can be made for.
	leastMessageSize = 64
	// messageOverhead is what is left for header, token and options beside the
	// payload (RFC 7252, Section 4.6: 1152 less 1024).
	messageOverhead = 128

	// defaultSessions is how many DTLS sessions there may be; one costs about
	// 25 KiB.
	defaultSessions = 1024
	// defaultHandshakes is how many clients may be in a handshake.
	defaultHandshakes = 64
	// defaultSessionIdle is how long a silent session is kept: devices sleep.
	defaultSessionIdle = 24 * time.Hour
	// defaultHandshakeTime leaves room for some retransmissions.
	defaultHandshakeTime = 20 * time.Second
	// maxIdentity is the longest PSK identity, in bytes (RFC 4279, Section 5.3).
	maxIdentity = 128
	// dtlsReplayWindow is the replay window of a session, in records.
	dtlsReplayWindow = 64
	// sessionQueue is how many datagrams wait for the DTLS engine.
	sessionQueue = 32
	// maxRecord is the largest datagram inside a session: what the DTLS engine
	// takes from the network.
	maxRecord = 8192

	// collectSlack is added to the leisure when a group request has no
	// deadline: time to travel and to be processed.
	collectSlack = 2 * time.Second
)
