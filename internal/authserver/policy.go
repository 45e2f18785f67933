package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/keystore"
)

// Policy gives grants to all devices whose names have a form, besides those that each has by itself. It holds for devices that are
// enrolled later too. What neither a policy nor a grant of the device names is denied.
type Policy struct {
	Name    string  `cbor:"1,keyasint"` // unique
	Devices string  `cbor:"2,keyasint"` // names of devices: "*" stands for any characters, "?" for one
	Grants  []Grant `cbor:"3,keyasint"`
}

// Validate returns what is wrong with p, wrapping [ErrInvalid].
func (p Policy) Validate() error {
	var devices error
	if p.Devices == "" || len(p.Devices) > maxName {
		devices = fmt.Errorf("%w: policy: pattern of devices has %d bytes, not 1 to %d", ErrInvalid, len(p.Devices), maxName)
	}
	return errors.Join(checkName("policy name", p.Name), devices, checkGrants(p.Grants))
}

// SetPolicy adds a policy or replaces the one of its name. Tokens that were issued keep what they permit.
func (s *Service) SetPolicy(ctx context.Context, p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	return s.updatePolicies(ctx, auditEvent{Event: "policy.set", Detail: p.Name + ": " + p.Devices + ": " + describe(p.Grants)}, func(r *policiesRecord) error {
		p.Grants = slices.Clone(p.Grants)
		if i := r.index(p.Name); i >= 0 {
			r.List[i] = p
			return nil
		}
		if len(r.List) >= maxPolicies {
			return fmt.Errorf("%w: more than %d policies", ErrInvalid, maxPolicies)
		}
		r.List = append(r.List, p)
		return nil
	})
}

// RemovePolicy takes a policy away. Errors wrap [ErrNotFound].
func (s *Service) RemovePolicy(ctx context.Context, name string) error {
	return s.updatePolicies(ctx, auditEvent{Event: "policy.removed", Detail: name}, func(r *policiesRecord) error {
		i := r.index(name)
		if i < 0 {
			return fmt.Errorf("policy %q: %w", name, ErrNotFound)
		}
		r.List = slices.Delete(r.List, i, i+1)
		return nil
	})
}

func (s *Service) updatePolicies(ctx context.Context, e auditEvent, change func(*policiesRecord) error) error {
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		r, err := loadPolicies(tx)
		if err == nil {
			err = change(r)
		}
		if err != nil {
			return err
		}
		return errors.Join(put(tx, namePolicies(), r), s.audit(ctx, tx, e))
	})
}

// Policies returns all policies, in the order in which they were added.
func (s *Service) Policies() ([]Policy, error) {
	var list []Policy
	err := s.store.View(func(r keystore.Reader) error {
		p, err := loadPolicies(r)
		if err == nil {
			list = p.List
		}
		return err
	})
	return list, err
}

func loadPolicies(r keystore.Reader) (*policiesRecord, error) {
	return loadOr(r, namePolicies(), policiesRecord{Schema: schema})
}

func (r *policiesRecord) index(name string) int {
	return slices.IndexFunc(r.List, func(p Policy) bool { return p.Name == name })
}

// grants returns what a device has by itself and by policies.
func grants(r keystore.Reader, c *clientRecord) ([]Grant, error) {
	p, err := loadPolicies(r)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(c.Grants)
	for _, p := range p.List {
		if match(p.Devices, c.Name) {
			all = append(all, p.Grants...)
		}
	}
	return all, nil
}
