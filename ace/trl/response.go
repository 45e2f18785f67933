package trl

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// Entry is what one update of the list changed for a requester. The order within each set has no meaning.
type Entry struct {
	Removed []ace.TokenHash // revoked tokens that expired
	Added   []ace.TokenHash // tokens that were revoked
}

// Response is the payload of 2.05, of Content-Format 262 (RFC 9770, Sections 7 and 8): Full to a full query, Diff to a diff query.
type Response struct {
	Full []ace.TokenHash // all revoked tokens of the requester; nil in a response to a diff query
	Diff []Entry         // the latest updates, newest first; nil in a response to a full query
	// WithCursor says that Cursor and, in a response to a diff query, More are there.
	WithCursor bool
	Cursor     *uint64 // nil: null
	More       bool
}

// Marshal returns the response as a map.
func (p *Response) Marshal() []byte {
	var w wire.Writer
	wire.Add(&w, keyFullSet, p.Full, appendHash)
	wire.Add(&w, keyDiffSet, p.Diff, func(dst []byte, e Entry) []byte {
		dst = cborx.AppendArray(dst, 2)
		dst = wire.AppendArrayOf(dst, e.Removed, appendHash)
		return wire.AppendArrayOf(dst, e.Added, appendHash)
	})
	if p.WithCursor {
		addCursor(&w, keyCursor, p.Cursor)
		if p.Diff != nil {
			w.Bool(keyMore, p.More)
		}
	}
	return w.Encode()
}

func appendHash(dst []byte, h ace.TokenHash) []byte { return cborx.AppendBytes(dst, h[:]) }

func addCursor(w *wire.Writer, key int64, cursor *uint64) {
	if cursor == nil {
		w.Null(key)
		return
	}
	w.Uint(key, *cursor)
}

// MaxHashes bounds the hashes of one response: some 2 MiB.
const MaxHashes = 1 << 16

// ParseResponse reads a response: it has either full_set or diff_set. Hashes by a function other than SHA-256 are malformed, as
// the registration names that one. Errors wrap [ace.ErrMalformed].
func ParseResponse(b []byte) (*Response, error) {
	r := wire.NewReader(b)
	p := &Response{Full: wire.List(r, keyFullSet, parseHash), Diff: wire.List(r, keyDiffSet, parseEntry)}
	if r.Err() == nil && (p.Full == nil) == (p.Diff == nil) {
		r.Failf("not one of full_set and diff_set")
	}
	p.WithCursor = r.Has(keyCursor)
	p.Cursor = readCursor(r, keyCursor)
	p.More, _ = r.Bool(keyMore)
	n := len(p.Full)
	for _, e := range p.Diff {
		n += len(e.Removed) + len(e.Added)
	}
	if n > MaxHashes {
		r.Failf("%d hashes", n)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func readCursor(r *wire.Reader, key int64) *uint64 {
	if r.IsNull(key) {
		return nil
	}
	v, ok := r.Uint(key)
	if !ok {
		return nil
	}
	return &v
}

func parseHash(item []byte) (ace.TokenHash, error) {
	b, err := wire.Bytes(item)
	if err != nil {
		return ace.TokenHash{}, err
	}
	h, err := ace.TokenHashFromBytes(b)
	if err != nil {
		return h, fmt.Errorf("%w: %w", ace.ErrMalformed, err)
	}
	return h, nil
}

func parseEntry(item []byte) (e Entry, err error) {
	pair, err := wire.Array(item)
	if err == nil && len(pair) != 2 {
		err = fmt.Errorf("%w: an entry is not a pair", ace.ErrMalformed)
	}
	if err != nil {
		return e, err
	}
	if e.Removed, err = wire.ArrayOf(pair[0], parseHash); err != nil {
		return e, err
	}
	e.Added, err = wire.ArrayOf(pair[1], parseHash)
	return e, err
}
