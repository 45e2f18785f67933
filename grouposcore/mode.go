package grouposcore

import "fmt"

// Mode is how a message is protected. The zero value is no mode.
type Mode uint8

const (
	// GroupMode encrypts with the Group Encryption Algorithm and countersigns:
	// every member can verify the source (Section 7).
	GroupMode Mode = 1 + iota
	// PairwiseMode encrypts with the AEAD Algorithm under a key only two
	// members can derive (Section 8).
	PairwiseMode
)

func (m Mode) String() string {
	switch m {
	case GroupMode:
		return "group"
	case PairwiseMode:
		return "pairwise"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}
