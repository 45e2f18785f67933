package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of this package.
var ErrMalformed = errors.New("malformed message")

func malformed(text string) error { return fmt.Errorf("%w: %s", ErrMalformed, text) }

// wrap makes err wrap ErrMalformed.
func wrap(err error) error {
	if err == nil || errors.Is(err, ErrMalformed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
