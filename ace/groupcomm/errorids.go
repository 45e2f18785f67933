package groupcomm

import "strconv"

// ErrorID says why a request was refused, in the registry ACE Groupcomm Errors (RFC 9594, Section 9;
// ace-key-groupcomm-oscore, Section 13; ace-oscore-gm-admin, Section 7).
type ErrorID int64

// Registered error identifiers. The comment says the response code they go with.
const (
	ErrorMembersOnly       ErrorID = 0  // 4.03 operation permitted only to group members
	ErrorRolesInconsistent ErrorID = 1  // 4.00 request inconsistent with the current roles
	ErrorCredential        ErrorID = 2  // 4.00 authentication credential incompatible with the group configuration
	ErrorEvidence          ErrorID = 3  // 4.00 invalid proof-of-possession evidence
	ErrorNoMaterial        ErrorID = 4  // 5.03 no available individual keying material
	ErrorTerminated        ErrorID = 5  // 4.04 group membership terminated
	ErrorGroupDeleted      ErrorID = 6  // 4.04 group deleted
	ErrorNoSignatures      ErrorID = 7  // 4.00 signatures not used in the group
	ErrorVerifiersOnly     ErrorID = 8  // 4.03 operation permitted only to signature verifiers
	ErrorInactive          ErrorID = 9  // 5.03 group currently not active
	ErrorActive            ErrorID = 10 // 4.00 group currently active
	ErrorGroupName         ErrorID = 11 // 5.03 unable to determine a group name
	ErrorConfiguration     ErrorID = 12 // 5.03 unsupported group configuration
)

var errorNames = [...]string{
	ErrorMembersOnly:       "operation permitted only to group members",
	ErrorRolesInconsistent: "request inconsistent with the current roles",
	ErrorCredential:        "authentication credential incompatible with the group configuration",
	ErrorEvidence:          "invalid proof-of-possession evidence",
	ErrorNoMaterial:        "no available individual keying material",
	ErrorTerminated:        "group membership terminated",
	ErrorGroupDeleted:      "group deleted",
	ErrorNoSignatures:      "signatures not used in the group",
	ErrorVerifiersOnly:     "operation permitted only to signature verifiers",
	ErrorInactive:          "group currently not active",
	ErrorActive:            "group currently active",
	ErrorGroupName:         "unable to determine a group name",
	ErrorConfiguration:     "unsupported group configuration",
}

// String returns the registered description of e, or its number.
func (e ErrorID) String() string {
	if e >= 0 && int(e) < len(errorNames) {
		return errorNames[e]
	}
	return "error " + strconv.FormatInt(int64(e), 10)
}
