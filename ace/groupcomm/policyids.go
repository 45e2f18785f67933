package groupcomm

// Labels of the registry ACE Groupcomm Policies, the keys of group_policies (RFC 9594, Section 4.3.1).
const (
	policySequenceSync  = 0 // sequence number synchronization method; no method is registered
	policyCheckInterval = 1 // seconds between two checks for new keying material
	policyExpiration    = 2 // seconds a member may go on decrypting with expired material
)
