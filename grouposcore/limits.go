package grouposcore

const (
	// defaultReplayWindow is the window of RFC 8613, Section 3.2.2.
	defaultReplayWindow = 32
	// minReplayWindow: a window of 1 loses messages whenever a client talks to
	// several servers (Section 14.12).
	minReplayWindow = 2
	// maxReplayWindow is what package replay offers.
	maxReplayWindow = 4096
	// defaultMaxRecipients is more than one multicast group has members in
	// practice; at about 2 KiB each it bounds a context to some 32 MiB.
	defaultMaxRecipients = 16384
	// defaultMaxSharedSecrets is for those one talks to in pairwise mode, which
	// are fewer than those one hears.
	defaultMaxSharedSecrets = 1024
	// maxGid: the Gid has a length of one byte in the OSCORE option, whose
	// value has at most 255 bytes: flags, Partial IV (5) and s go off.
	maxGid = 255 - 1 - 5 - 1
	// maxGMCredential bounds what is hashed into every external_aad; no
	// certificate in use is longer.
	maxGMCredential = 16 << 10
	// seenEpochs is in how many Security Contexts one exchange remembers
	// Response Numbers: previous, current, next, and one to spare.
	seenEpochs = 4
	// overhead beyond which scratch buffers are not kept for the next message.
	maxScratch = 64 << 10
)
