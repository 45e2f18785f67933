package authserver

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no client, resource server or token of that name.
	ErrNotFound = errors.New("not found")
	// ErrNoServer says that there is no resource server of that name. It wraps ErrNotFound.
	ErrNoServer = fmt.Errorf("no such resource server: %w", ErrNotFound)
	// ErrExists says that the name is taken.
	ErrExists = errors.New("already exists")
	// ErrInvalid says that a request of the operator cannot be carried out as it is; the text says why.
	ErrInvalid = errors.New("invalid")
	// ErrDisabled says that the client was revoked.
	ErrDisabled = errors.New("client is revoked")
	// ErrSuperseded says that a request came under a context that a newer one has replaced: two devices use one secret.
	ErrSuperseded = errors.New("context superseded: the enrolment secret is in use twice")
)
