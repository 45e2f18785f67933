package wire

// MaxFields bounds the members of one map that a Reader accepts. No registered message has more than thirty.
const MaxFields = 64
