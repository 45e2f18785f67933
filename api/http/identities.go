package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/cohort-iot/cohort/internal/manager"
)

// Identities is the domain's side of /v1/identities. *manager.Service implements it.
type Identities interface {
	Identities(ctx context.Context) ([]manager.IdentityInfo, error)
	RotateIdentity(ctx context.Context, name string) (rekeyed int, err error)
}

// Identity is what an operator sees of a key pair of the Group Manager: never the
// private key.
type Identity struct {
	Name             string           `json:"name"`
	Signature        algorithm        `json:"signature,omitzero"` // absent for groups without signatures
	Curve            string           `json:"curve"`
	CredentialFormat credentialFormat `json:"credential_format"`
	Generation       uint64           `json:"generation"` // how often it was rotated
	Created          time.Time        `json:"created"`
	Credential       hexBytes         `json:"credential"`
	Groups           int              `json:"groups"`           // that it serves
	Behind           int              `json:"behind,omitempty"` // of them, those still to be rekeyed onto it
}

// Rotation is the answer to the rotation of an identity.
type Rotation struct {
	Identity Identity `json:"identity"`
	Rekeyed  int      `json:"rekeyed"` // groups
}

func identityOf(i manager.IdentityInfo) Identity {
	return Identity{
		Name: i.Name, Signature: algorithm(i.Algorithm), Curve: i.Curve.String(), CredentialFormat: credentialFormat(i.Format),
		Generation: i.Generation, Created: i.Created, Credential: i.Credential, Groups: i.Groups, Behind: i.Behind,
	}
}

func (s *server) identities(ctx context.Context) ([]Identity, error) {
	infos, err := s.Config.Identities.Identities(ctx)
	list := make([]Identity, 0, len(infos))
	for _, i := range infos {
		list = append(list, identityOf(i))
	}
	return list, err
}

func (s *server) listIdentities(w http.ResponseWriter, r *http.Request) error {
	list, err := s.identities(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *server) rotateIdentity(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	name := r.PathValue("identity")
	n, err := s.Config.Identities.RotateIdentity(r.Context(), name)
	if err != nil {
		return err
	}
	list, err := s.identities(r.Context())
	if err != nil {
		return err
	}
	out := Rotation{Rekeyed: n}
	for _, i := range list {
		if i.Name == name {
			out.Identity = i
		}
	}
	return writeJSON(w, http.StatusOK, out)
}
