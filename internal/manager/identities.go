package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// IdentityInfo is what an operator sees of a key pair of the Group Manager: never
// the private key.
type IdentityInfo struct {
	// Name tells the kind of groups that it serves: signature algorithm ("ecdh" for
	// groups without signatures), curve and credential format.
	Name       string
	Algorithm  cose.Algorithm // 0 for groups without signatures
	Curve      cose.Curve
	Format     cose.CredentialFormat
	Generation uint64 // in use; the first is 0, each rotation adds one
	Created    time.Time
	Credential []byte
	Groups     int // that use this kind
	Behind     int // of them, those that still use an older generation
}

// name tells the kind of key pair, whatever its generation.
func (k keySlot) name() string {
	alg := "ecdh"
	if k.Algorithm != 0 {
		alg = k.Algorithm.String()
	}
	return strings.ReplaceAll(alg+"-"+k.Curve.String()+"-"+k.Format.String(), " ", "_")
}

// Identities lists the key pairs of the Group Manager in use, in the order of
// their names.
func (s *Service) Identities(context.Context) ([]IdentityInfo, error) {
	var out []IdentityInfo
	err := s.view(func(r reader) error {
		out = nil
		groups, behind := map[keySlot]int{}, map[keySlot]int{}
		err := r.heads(func(h *head) error {
			if h.State == GroupDeleting {
				return nil
			}
			slot := h.Config.slot()
			groups[slot]++
			g, err := r.keyGeneration(slot)
			if h.KeyGeneration < g {
				behind[slot]++
			}
			return err
		})
		if err != nil {
			return err
		}
		return r.Scan(nameManagerKeys(), func(n keystore.Name, b []byte) error {
			slot := slotOf(n)
			generation, err := r.keyGeneration(slot)
			if err != nil || generation != n.ID(3) {
				return err // an older one, which goes with the last group that uses it
			}
			k, err := decode[managerKey](n, b)
			if err != nil {
				return err
			}
			out = append(out, IdentityInfo{
				Name: slot.name(), Algorithm: slot.Algorithm, Curve: slot.Curve, Format: slot.Format, Generation: generation,
				Created: time.Unix(k.Created, 0).UTC(), Credential: k.Credential, Groups: groups[slot], Behind: behind[slot],
			})
			return nil
		})
	})
	slices.SortFunc(out, func(a, b IdentityInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// slotNamed finds a key pair by the name of its kind, in its first generation.
func (s *Service) slotNamed(ctx context.Context, name string) (keySlot, error) {
	list, err := s.Identities(ctx)
	if err != nil {
		return keySlot{}, err
	}
	for _, i := range list {
		if i.Name == name {
			return keySlot{Algorithm: i.Algorithm, Curve: i.Curve, Format: i.Format}, nil
		}
	}
	return keySlot{}, refuse(KindNotFound, "no such identity")
}
