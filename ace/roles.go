package ace

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Roles is the set of roles a scope entry grants in an OSCORE group: the value Tperm of AIF-OSCORE-GROUPCOMM, in which bit n
// stands for role n (ace-key-groupcomm-oscore, Section 3). Bit 0 is no role: it marks an entry that grants administrative
// permissions instead (ace-oscore-gm-admin, Section 3).
type Roles uint64

// The Group OSCORE Roles registry (ace-key-groupcomm-oscore, Section 17.12).
const (
	RoleRequester Roles = 1 << 1 // sends requests to the group
	RoleResponder Roles = 1 << 2 // answers requests of the group
	RoleMonitor   Roles = 1 << 3 // receives requests and never answers: a silent server
	RoleVerifier  Roles = 1 << 4 // no member: checks signatures of the group's messages
)

// adminBit marks an entry of administrative permissions.
const adminBit Roles = 1

// memberRoles are the roles one joins with.
const memberRoles = RoleRequester | RoleResponder | RoleMonitor

// Has says whether every role of o is in r.
func (r Roles) Has(o Roles) bool { return r&o == o }

// Member returns the roles of r one can join with: r without verifier, unknown bits and permissions.
func (r Roles) Member() Roles { return r & memberRoles }

// IsAdmin says whether r holds administrative permissions and no roles.
func (r Roles) IsAdmin() bool { return r&adminBit != 0 }

// MonitorOnly says whether r joins as monitor and nothing else.
func (r Roles) MonitorOnly() bool { return r.Member() == RoleMonitor }

// Sends says whether a member with r sends messages to the group, and so needs a credential and a Sender ID.
func (r Roles) Sends() bool { return r&(RoleRequester|RoleResponder) != 0 }

// CheckJoin returns nil if r is a set of roles one may ask to join with: requester, responder, both, or monitor alone
// (ace-key-groupcomm-oscore, Section 6.1). Errors wrap [ErrRoles].
func (r Roles) CheckJoin() error {
	switch {
	case r == 0 || r&^memberRoles != 0:
		return fmt.Errorf("%w: %v is no set of member roles", ErrRoles, r)
	case r&RoleMonitor != 0 && r != RoleMonitor:
		return fmt.Errorf("%w: monitor excludes every other role", ErrRoles)
	}
	return nil
}

var roleNames = [...]string{1: "requester", 2: "responder", 3: "monitor", 4: "verifier"}

// String lists the roles by their registered names, joined by "+"; unknown ones by number.
func (r Roles) String() string {
	if r == 0 {
		return "none"
	}
	if r.IsAdmin() {
		return "admin(" + strconv.FormatUint(uint64(r), 2) + ")"
	}
	var names []string
	for v := r; v != 0; v &= v - 1 {
		n := bits.TrailingZeros64(uint64(v))
		if n < len(roleNames) {
			names = append(names, roleNames[n])
		} else {
			names = append(names, "role"+strconv.Itoa(n))
		}
	}
	return strings.Join(names, "+")
}

// ParseRoles reads what [Roles.String] writes of registered roles; a comma separates as well as a "+".
// Errors wrap [ErrRoles].
func ParseRoles(s string) (Roles, error) {
	var r Roles
next:
	for name := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == '+' || c == ',' || c == ' ' }) {
		for n, known := range roleNames {
			if known != "" && known == name {
				r |= 1 << n
				continue next
			}
		}
		return 0, fmt.Errorf("%w: unknown role %q", ErrRoles, name)
	}
	if r == 0 {
		return 0, fmt.Errorf("%w: no role named", ErrRoles)
	}
	return r, nil
}
