package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
)

// EnrolmentFile is the JSON of an enrolment, secret included. It travels in
// JSON as it is, and prints as nothing.
type EnrolmentFile []byte

// MarshalJSON gives the file.
func (f EnrolmentFile) MarshalJSON() ([]byte, error) { return f, nil }

// UnmarshalJSON takes the file.
func (f *EnrolmentFile) UnmarshalJSON(b []byte) error {
	*f = bytes.Clone(b)
	return nil
}

// Format keeps the secret out of whatever is printed.
func (EnrolmentFile) Format(s fmt.State, _ rune) { fmt.Fprint(s, "[redacted]") }

// LogValue keeps the secret out of logs.
func (EnrolmentFile) LogValue() slog.Value { return slog.StringValue("[redacted]") }
