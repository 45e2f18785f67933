package groupcomm

import (
	"time"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Defaults of the policies (ace-key-groupcomm-oscore, Section 6.3).
const (
	DefaultCheckInterval   = 3600 * time.Second
	DefaultExpirationDelta = 0 * time.Second
)

// Policies are the value of the parameter group_policies (RFC 9594, Section 4.3.1). Both are whole seconds.
// Sequence number synchronization methods are not here: none is registered.
type Policies struct {
	CheckInterval   time.Duration // how often a member asks for the current version of the keying material
	ExpirationDelta time.Duration // how long after the material's expiration a member may still decrypt with it
}

// DefaultPolicies returns the policies of a group that configures none.
func DefaultPolicies() Policies {
	return Policies{CheckInterval: DefaultCheckInterval, ExpirationDelta: DefaultExpirationDelta}
}

// Marshal returns the policies as a map.
func (p Policies) Marshal() []byte {
	var w wire.Writer
	w.Uint(policyCheckInterval, seconds(p.CheckInterval))
	w.Uint(policyExpiration, seconds(p.ExpirationDelta))
	return w.Encode()
}

func seconds(d time.Duration) uint64 { return uint64(max(0, d) / time.Second) }

// ParsePolicies reads the map of group_policies. A policy that is absent has its default.
func ParsePolicies(b []byte) (Policies, error) {
	r := wire.NewReader(b)
	p := DefaultPolicies()
	readSeconds(r, policyCheckInterval, &p.CheckInterval)
	readSeconds(r, policyExpiration, &p.ExpirationDelta)
	if err := r.Err(); err != nil {
		return Policies{}, err
	}
	return p, nil
}

func readSeconds(r *wire.Reader, key int64, d *time.Duration) {
	const most = 100 * 365 * 24 * 3600 // a century: no overflow, and nobody means more
	if v, ok := r.Uint(key); ok {
		*d = time.Duration(min(v, most)) * time.Second
	}
}

// PoliciesResponse answers GET /ace-group/GROUPNAME/policies (RFC 9594, Section 4.6.1).
type PoliciesResponse struct {
	Policies Policies
}

// Marshal returns the response as a map.
func (p PoliciesResponse) Marshal() []byte {
	var w wire.Writer
	w.Raw(paramGroupPolicies, p.Policies.Marshal())
	return w.Encode()
}

// ParsePoliciesResponse reads a response. [EmptyResult] says that the group has no policies and gives the defaults.
func ParsePoliciesResponse(b []byte) (PoliciesResponse, error) {
	if IsEmptyResult(b) {
		return PoliciesResponse{Policies: DefaultPolicies()}, nil
	}
	r := wire.NewReader(b)
	r.Require(paramGroupPolicies)
	p, _ := wire.Field(r, paramGroupPolicies, ParsePolicies)
	return PoliciesResponse{Policies: p}, r.Err()
}
