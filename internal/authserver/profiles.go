package authserver

import (
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace"
)

// profiles gives stored profile numbers; the OSCORE profile if there are none.
func profiles(stored []int64) []ace.Profile {
	if len(stored) == 0 {
		return []ace.Profile{ace.ProfileCoAPOSCORE}
	}
	out := make([]ace.Profile, len(stored))
	for i, p := range stored {
		out[i] = ace.Profile(p)
	}
	return out
}

// storeProfiles is its reverse; it refuses what is registered for nothing this server could issue tokens for.
func storeProfiles(list []ace.Profile) ([]int64, error) {
	var out []int64
	for _, p := range list {
		if p != ace.ProfileCoAPOSCORE && p != ace.ProfileCoAPDTLS {
			return nil, fmt.Errorf("%w: profile %d is not supported", ErrInvalid, int64(p))
		}
		if !slices.Contains(out, int64(p)) {
			out = append(out, int64(p))
		}
	}
	return out, nil
}

// takesPublicKeys says whether the tokens of a profile can be bound to a public key of the client.
func takesPublicKeys(p ace.Profile) bool { return p == ace.ProfileCoAPDTLS }

// chooseProfile finds the profile for a token: the one asked for, or the first of the resource server's that the client has too
// and that suits the kind of key. A refusal is an [*ace.Error].
func chooseProfile(asked ace.Profile, rs, client []ace.Profile, public bool) (ace.Profile, error) {
	suits := func(p ace.Profile) bool { return takesPublicKeys(p) == public }
	if public && !slices.ContainsFunc(rs, suits) {
		return 0, deny(ace.UnsupportedPoPKey, "the resource server has no profile with a key of the client's own")
	}
	for _, p := range rs {
		if (asked == 0 || asked == p) && suits(p) && slices.Contains(client, p) {
			return p, nil
		}
	}
	return 0, deny(ace.IncompatibleACEProfiles, "no profile in common with the resource server")
}
