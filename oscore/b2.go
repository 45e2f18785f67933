package oscore

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"slices"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Appendix B.2 of RFC 8613 derives a new context from inputs that stay the
// same, by random bytes that both sides put into the ID Context:
//
//	client                                    server
//	Request1   ID Context R1       ────────►  OpenRequest1
//	           kid context bstr(R1)
//	Response1  ID Context R2 || R1 ◄────────  its response, 4.01
//	           kid context bstr(R2)
//	Request2   ID Context R2 || R3 ────────►  OpenRequest2
//	           kid context bstr(R2 || R3)
//	Response2  ID Context R2 || R3 ◄────────  ProtectResponse
//
// The third context is the one that stays. It carries bstr(R2 || R3) as kid
// context in all its requests, unless told to omit it: so a server that lost
// it finds all it needs for a new run in any request.

// B2NonceSize is how many random bytes R1, R3 and the random part of R2 have,
// and the least accepted of a peer (RFC 8613, Appendix B.2).
const B2NonceSize = 8

// b2Check looks over inputs for Appendix B.2 and copies them.
func b2Check(p Params, random io.Reader) (Params, io.Reader, error) {
	if err := p.Validate(); err != nil {
		return p, nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	return p.Clone(), random, nil
}

// b2Context derives a one-time context with this ID Context.
func b2Context(p Params, idContext []byte) (*Context, error) {
	p.IDContext = idContext
	return newContext(p, NewEphemeralSequence(), wrap(idContext))
}

// wrap encodes b as a CBOR byte string, unwrap reads one.
func wrap(b []byte) []byte { return cborx.AppendBytes(nil, b) }

func unwrap(kidContext []byte) ([]byte, error) {
	if err := cborx.Wellformed(kidContext); err != nil {
		return nil, fmt.Errorf("%w: kid context is no cbor byte string", ErrMalformed)
	}
	b, err := cborx.Bytes(kidContext)
	if err != nil || len(b) < B2NonceSize || !bytes.Equal(wrap(b), kidContext) {
		return nil, fmt.Errorf("%w: kid context is no cbor byte string of %d bytes or more", ErrMalformed, B2NonceSize)
	}
	return b, nil
}

func draw(random io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return b, nil
}

// concat is a || b in new memory.
func concat(a, b []byte) []byte { return slices.Concat(a, b) }

// fitsOption reports whether requests can carry this ID Context, wrapped.
func fitsOption(idContext, kid []byte) bool {
	o := coapmsg.OSCOREOption{KID: kid, KIDContext: wrap(idContext)}
	return o.Size()+coapmsg.MaxPIVSize <= coapmsg.MaxOSCOREOption
}
