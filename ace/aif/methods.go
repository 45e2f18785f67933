package aif

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Methods is a set of methods, the Tperm of the default form: bit n stands for the method of code n+1, and bit n+32 for the same
// method on resources that were created by the listed one (RFC 9237, Section 3).
type Methods uint64

// The methods.
const (
	GET Methods = 1 << iota
	POST
	PUT
	DELETE
	FETCH
	PATCH
	IPATCH
)

// dynamicShift is by how many bits Dynamic-X is above X.
const dynamicShift = 32

// basic are the methods that have a bit.
const basic = GET | POST | PUT | DELETE | FETCH | PATCH | IPATCH

// Method returns the set of one method code; 0 if it has no bit.
func Method(c codes.Code) Methods {
	if c == 0 || c > 7 {
		return 0
	}
	return 1 << (c - 1)
}

// Dynamic returns the methods of m as those on created resources.
func (m Methods) Dynamic() Methods { return m.Basic() << dynamicShift }

// Basic returns what m permits on the listed resource itself, without bits that stand for no method.
func (m Methods) Basic() Methods { return m & basic }

// OnCreated returns what m permits on created resources, as methods.
func (m Methods) OnCreated() Methods { return (m >> dynamicShift).Basic() }

// Has says whether every method of o is in m.
func (m Methods) Has(o Methods) bool { return m&o == o }

// String lists the methods, those on created resources after "Dynamic-", unknown bits by number.
func (m Methods) String() string {
	if m == 0 {
		return "none"
	}
	var out []string
	for v := m; v != 0; v &= v - 1 {
		n := bits.TrailingZeros64(uint64(v))
		name, known := methodName(n % dynamicShift)
		switch {
		case !known:
			name = "bit" + strconv.Itoa(n)
		case n >= dynamicShift:
			name = "Dynamic-" + name
		}
		out = append(out, name)
	}
	return strings.Join(out, "+")
}

func methodName(bit int) (string, bool) {
	names := [...]string{"GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"}
	if bit >= len(names) {
		return "", false
	}
	return names[bit], true
}
