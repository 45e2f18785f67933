package ace

import (
	"fmt"
	"strings"
)

// MaxGroupName is the length in bytes a group name may have: that of one Uri-Path option (RFC 7252, Section 5.10).
const MaxGroupName = 255

// CheckGroupName returns nil if name can name a group, and so stand as the last segment of its resource's path
// (ace-key-groupcomm-oscore, Section 3): 1 to 255 characters of the segment syntax of RFC 3986, Section 3.3.
//
// Percent-encoding is refused, because a name that contains it differs from the Uri-Path option it turns into; so are "." and
// "..", which URI resolution removes. Errors wrap [ErrScope].
func CheckGroupName(name string) error {
	if name == "" || len(name) > MaxGroupName || name == "." || name == ".." {
		return groupNameError(fmt.Sprintf("%q cannot name a group", name))
	}
	if strings.EqualFold(name, noSec) {
		return groupNameError(fmt.Sprintf("the group name %q means no security at all", name))
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0:
		default:
			return groupNameError(fmt.Sprintf("a group name cannot contain %q", c))
		}
	}
	return nil
}

// noSec is the name that no security group may have, in any letter case: nodes could take it for a sign that a group goes without
// security (draft-ietf-core-groupcomm-bis, Section 2.2.1.3).
const noSec = "NoSec"

// groupNameError says what is wrong with a name. It is an [ErrScope], and does not say so: an operator who names a group thinks of
// no scope.
type groupNameError string

func (e groupNameError) Error() string { return string(e) }

// Is implements the interface of errors.Is.
func (e groupNameError) Is(target error) bool { return target == ErrScope }
