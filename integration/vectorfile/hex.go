package vectorfile

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Hex is a byte string written in hexadecimal. JSON null and an absent member
// are nil, "" is empty and not nil.
type Hex []byte

// UnmarshalJSON implements json.Unmarshaler.
func (h *Hex) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("byte string: %w", err)
	}
	if s == nil {
		*h = nil
		return nil
	}
	v, err := hex.DecodeString(*s)
	if err != nil {
		return fmt.Errorf("byte string: %w", err)
	}
	*h = append(Hex{}, v...)
	return nil
}

// Number is a COSE algorithm number; JSON null and an absent member are 0,
// which stands for "unset".
type Number int64
