package ace

import (
	"fmt"
	"math"
	"time"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Claims are what an access token states: the CWT Claims Set of this application (RFC 8392, Section 3; RFC 9200, Section 5.10;
// RFC 9203, Section 3.2).
type Claims struct {
	Issuer    string    // iss; empty if absent
	Subject   string    // sub: the Client, by the name the issuer knows it; empty if absent
	Audience  []string  // aud: one name is encoded as text, several as an array; nil if absent
	Expires   time.Time // exp; zero if absent. Whole seconds when encoded
	NotBefore time.Time // nbf; zero if absent
	IssuedAt  time.Time // iat; zero if absent
	ID        []byte    // cti; nil if absent
	Scope     Scope     // scope; nil if absent
	// ExtendedScope puts the scope into the tag that names its semantics (RFC 9594, Section 7).
	ExtendedScope bool
	Profile       Profile       // ace_profile; 0 if absent
	CNonce        []byte        // cnonce; nil if absent
	Exi           uint64        // exi in seconds; 0 if absent
	Cnf           *Confirmation // cnf
}

// Marshal returns the claims as a map, with the secret of Cnf in the clear.
func (c *Claims) Marshal() []byte {
	var w wire.Writer
	c.add(&w)
	return w.Encode()
}

func (c *Claims) add(w *wire.Writer) {
	w.Text(claimIssuer, c.Issuer)
	w.Text(claimSubject, c.Subject)
	switch len(c.Audience) {
	case 0:
	case 1:
		w.Text(claimAudience, c.Audience[0])
	default:
		w.TextArray(claimAudience, c.Audience)
	}
	for key, t := range map[int64]time.Time{
		claimExpires: c.Expires, claimNotBefore: c.NotBefore, claimIssuedAt: c.IssuedAt,
	} {
		if !t.IsZero() {
			w.Int(key, t.Unix())
		}
	}
	w.Bytes(claimID, c.ID)
	if c.Scope != nil {
		var dst []byte
		if c.ExtendedScope {
			dst = cborx.AppendTag(dst, scopeTag)
		}
		w.Raw(claimScope, cborx.AppendBytes(dst, c.Scope.Marshal()))
	}
	if c.Profile != 0 {
		w.Int(claimProfile, int64(c.Profile))
	}
	w.Bytes(claimCNonce, c.CNonce)
	if c.Exi != 0 {
		w.Uint(claimExi, c.Exi)
	}
	w.Raw(claimCnf, c.Cnf.marshal())
}

// rawClaims are claims of which scope and cnf are still encoded, because a Resource Server judges the others first.
type rawClaims struct {
	Claims
	scope []byte
	cnf   secret.Hidden
}

// readClaims reads all claims but scope and cnf. Claims it does not know are skipped (RFC 8392, Section 3).
func readClaims(b []byte) (*rawClaims, error) {
	r := wire.NewReader(b)
	c := claimsOf(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// claimsOf reads all claims but scope and cnf of a map whose reader records the faults.
func claimsOf(r *wire.Reader) *rawClaims {
	c := &rawClaims{scope: r.Raw(claimScope), cnf: secret.Hide(r.Raw(claimCnf))}
	c.Issuer, _ = r.Text(claimIssuer)
	c.Subject, _ = r.Text(claimSubject)
	if raw := r.Raw(claimAudience); wire.IsArray(raw) {
		c.Audience = r.TextArray(claimAudience)
	} else if aud, ok := r.Text(claimAudience); ok {
		c.Audience = []string{aud}
	}
	c.Expires, _ = wire.Field(r, claimExpires, numericDate)
	c.NotBefore, _ = wire.Field(r, claimNotBefore, numericDate)
	c.IssuedAt, _ = wire.Field(r, claimIssuedAt, numericDate)
	c.ID = r.Bytes(claimID)
	if p, ok := r.Int(claimProfile); ok {
		c.Profile = Profile(p)
	}
	c.CNonce = r.Bytes(claimCNonce)
	c.Exi, _ = r.Uint(claimExi)
	return c
}

// readScope reads the claim scope, in its plain or its extended form. Errors wrap [ErrScope].
func (c *rawClaims) readScope() (Scope, error) {
	item := c.scope
	if item == nil {
		return nil, fmt.Errorf("%w: no scope", ErrScope)
	}
	if num, content, ok := cborx.CutTag(item); ok {
		if num != scopeTag {
			return nil, fmt.Errorf("%w: semantics %d", ErrScope, num)
		}
		item, c.ExtendedScope = content, true
	}
	b, err := wire.Bytes(item)
	if err != nil {
		return nil, fmt.Errorf("%w: not a byte string", ErrScope)
	}
	return ParseScope(b)
}

// ParseClaims reads a claims set whole. Faults wrap [ErrMalformed], [ErrScope] or [ErrInputMaterial].
func ParseClaims(b []byte) (*Claims, error) {
	c, err := readClaims(b)
	if err != nil {
		return nil, err
	}
	return c.whole()
}

// whole reads scope and cnf too.
func (c *rawClaims) whole() (_ *Claims, err error) {
	if c.scope != nil {
		if c.Scope, err = c.readScope(); err != nil {
			return nil, err
		}
	}
	if !c.cnf.IsZero() {
		if c.Cnf, err = parseConfirmation(c.cnf.Bytes()); err != nil {
			return nil, err
		}
	}
	return &c.Claims, nil
}

// numericDate reads seconds since 1970-01-01 UTC, as integer or floating-point number and without a tag (RFC 8392, Section 5).
// Dates beyond the year 9999 count as then, and those before the year 1 as its first second, which is not the zero time: that
// stands for none.
func numericDate(item []byte) (time.Time, error) {
	const first, last = -62135596799, 253402300799 // 0001-01-01T00:00:01Z, 9999-12-31T23:59:59Z
	if v, err := wire.Int(item); err == nil {
		return time.Unix(max(first, min(v, last)), 0).UTC(), nil
	}
	var f float64
	if len(item) == 0 || item[0]>>5 != 7 || cborx.Unmarshal(item, &f) != nil || math.IsNaN(f) || item[0] < 0xf9 {
		return time.Time{}, fmt.Errorf("%w: not a numeric date", ErrMalformed)
	}
	f = max(first, min(f, last))
	return time.UnixMilli(int64(f * 1000)).UTC(), nil
}
