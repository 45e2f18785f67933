package groupcomm

// SchemePointToPoint is the one registered value of rekeying_scheme, in the registry ACE Groupcomm Rekeying Schemes
// (RFC 9594, Section 11.13): one message for each member.
const SchemePointToPoint = 0
