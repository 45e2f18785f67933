package ace

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cohort-iot/cohort/cose"
)

// RSEnrolment is all a Resource Server is given by an Authorization Server that is another process: the keys of its tokens, and
// the association under which it introspects them and follows the list of revoked ones. It travels as a JSON file that only the
// Resource Server can read. Values of this type print without the secrets.
//
// The keys of tokens and the secret of the association are apart: neither serves in the place of the other.
type RSEnrolment struct {
	Issuer   string // the claim iss of its tokens
	Audience string // name of the Resource Server in tokens
	Trusted  []TrustedAS
	// AS is the association with the Authorization Server; URI is that of the token endpoint, beside which the others are. Zero if
	// there is none: such an issuer is neither introspected nor are its revocations followed.
	AS             EnrolmentAS
	IntrospectPath string // empty: introspection is not offered
	TRL            *TRLInfo
}

// TRLInfo is what a requester is told about the Token Revocation List at its registration (RFC 9770, Section 10).
type TRLInfo struct {
	Path         string `json:"path"`                     // of the resource, at the Authorization Server
	Hash         string `json:"hash"`                     // hash function, by its name in the registry: "sha-256"
	MaxN         int    `json:"max_n,omitempty"`          // MAX_N; 0: no diff queries
	MaxDiffBatch int    `json:"max_diff_batch,omitempty"` // MAX_DIFF_BATCH; 0: no Cursor
}

// HashName is the name of the hash function of token hashes in the registry Named Information Hash Algorithm.
const HashName = "sha-256"

// Validate returns what is wrong with t, wrapping [ErrEnrolment].
func (t *TRLInfo) Validate() error {
	switch {
	case t == nil:
		return nil
	case t.Path == "" || t.Path[0] != '/':
		return fmt.Errorf("%w: %q is no path of a revocation list", ErrEnrolment, t.Path)
	case t.Hash != HashName:
		return fmt.Errorf("%w: token hashes by %q are not supported", ErrEnrolment, t.Hash)
	case t.MaxN < 0 || t.MaxDiffBatch < 0 || t.MaxDiffBatch > t.MaxN:
		return fmt.Errorf("%w: MAX_N %d and MAX_DIFF_BATCH %d do not fit", ErrEnrolment, t.MaxN, t.MaxDiffBatch)
	}
	return nil
}

// rsEnrolmentFile is the file.
type rsEnrolmentFile struct {
	Version    int       `json:"version"`
	Issuer     string    `json:"issuer"`
	Audience   string    `json:"audience"`
	Keys       []fileKey `json:"keys"`
	Lenient    bool      `json:"lenient,omitempty"`
	Introspect bool      `json:"introspect,omitempty"`
	References bool      `json:"references,omitempty"`
	AS         *fileAS   `json:"as,omitempty"`
	IntroPath  string    `json:"introspect_path,omitempty"`
	TRL        *TRLInfo  `json:"trl,omitempty"`
}

// fileKey is a key that opens or verifies tokens: key for a symmetric one, cose_key for a public one.
type fileKey struct {
	KID     string  `json:"kid"`
	Alg     int64   `json:"alg"`
	Key     written `json:"key,omitzero"`
	COSEKey string  `json:"cose_key,omitempty"`
}

// Marshal returns the file, with the secrets in the clear: write it with mode 0600, show it to nobody.
func (e *RSEnrolment) Marshal() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	f := rsEnrolmentFile{Version: enrolmentVersion, Issuer: e.Issuer, Audience: e.Audience, IntroPath: e.IntrospectPath, TRL: e.TRL}
	for _, as := range e.Trusted {
		f.Lenient, f.Introspect, f.References = as.Lenient, as.Introspect, as.References
		if as.Key.Alg != 0 {
			f.Keys = append(f.Keys, fileKey{KID: hex.EncodeToString(as.Key.KID), Alg: int64(as.Key.Alg), Key: written{as.Key.Key}})
		}
		if as.Verify.Alg != 0 {
			b, err := as.Verify.Key.MarshalCBOR()
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrEnrolment, err)
			}
			f.Keys = append(f.Keys, fileKey{KID: hex.EncodeToString(as.Verify.KID), Alg: int64(as.Verify.Alg), COSEKey: hex.EncodeToString(b)})
		}
	}
	if e.AS.URI != "" {
		f.AS = e.AS.file()
	}
	return encodeFile(f)
}

func encodeFile(f any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnrolment, err)
	}
	return buf.Bytes(), nil
}

// decodeFile reads one JSON value without unknown members.
func decodeFile(b []byte, f any) error {
	if len(b) > maxEnrolment {
		return fmt.Errorf("%w: longer than %d bytes", ErrEnrolment, maxEnrolment)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return fmt.Errorf("%w: %w", ErrEnrolment, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value", ErrEnrolment)
	}
	return nil
}

// ParseRSEnrolment reads the file. Unknown members, a second value and anything else that was not meant wrap [ErrEnrolment].
func ParseRSEnrolment(b []byte) (*RSEnrolment, error) {
	var f rsEnrolmentFile
	if err := decodeFile(b, &f); err != nil {
		return nil, err
	}
	if f.Version != enrolmentVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrEnrolment, f.Version, enrolmentVersion)
	}
	e := &RSEnrolment{Issuer: f.Issuer, Audience: f.Audience, IntrospectPath: f.IntroPath, TRL: f.TRL}
	for _, k := range f.Keys {
		as, err := k.trusted()
		if err != nil {
			return nil, fmt.Errorf("%w: key: %w", ErrEnrolment, err)
		}
		as.Issuer, as.Lenient, as.Introspect, as.References = f.Issuer, f.Lenient, f.Introspect, f.References
		e.Trusted = append(e.Trusted, as)
	}
	if len(f.Keys) == 0 && f.References {
		e.Trusted = []TrustedAS{{Issuer: f.Issuer, Introspect: f.Introspect, References: true}}
	}
	if f.AS != nil {
		var err error
		if e.AS, err = f.AS.association(); err != nil {
			return nil, err
		}
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

func (k fileKey) trusted() (as TrustedAS, err error) {
	kid, err := hex.DecodeString(k.KID)
	if err != nil {
		return as, err
	}
	if k.COSEKey == "" {
		as.Key = TokenKey{KID: kid, Alg: cose.Algorithm(k.Alg), Key: k.Key.Hidden}
		return as, nil
	}
	b, err := hex.DecodeString(k.COSEKey)
	if err != nil {
		return as, err
	}
	if k.Key.Len() > 0 {
		return as, errors.New("a symmetric and a public key in one")
	}
	pub, err := cose.ParsePublicKey(b)
	as.Verify = VerifyKey{KID: kid, Alg: cose.Algorithm(k.Alg), Key: pub}
	return as, err
}

func (f *fileAS) association() (EnrolmentAS, error) {
	id, err1 := hex.DecodeString(f.ID)
	asID, err2 := hex.DecodeString(f.ASID)
	if err := errors.Join(err1, err2); err != nil {
		return EnrolmentAS{}, fmt.Errorf("%w: identifiers: %w", ErrEnrolment, err)
	}
	return EnrolmentAS{URI: f.URI, ID: id, ASID: asID, Secret: f.Secret.Hidden, Salt: f.Salt.Hidden}, nil
}

// maxFileKeys bounds the keys of one issuer.
const maxFileKeys = 32

// Validate returns all faults of e, joined; each wraps [ErrEnrolment].
func (e *RSEnrolment) Validate() error {
	var errs []error
	add := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: %s", ErrEnrolment, text))
		}
	}
	add(e.Audience == "", "no audience")
	add(len(e.Trusted) == 0 || len(e.Trusted) > maxFileKeys, "no key, or too many")
	asks := e.TRL != nil || e.IntrospectPath != ""
	for _, as := range e.Trusted {
		if err := as.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrEnrolment, err))
		}
		add(as.Issuer != e.Issuer, "a key of another issuer")
		add(as.Lenient && e.TRL != nil, "a lenient issuer cannot revoke: the hashes of its tokens can be changed by anybody")
		add((as.Introspect || as.References) && e.IntrospectPath == "", "introspection without a path")
	}
	if e.AS.URI != "" {
		errs = append(errs, e.AS.validate()...)
	}
	add(asks && e.AS.URI == "", "introspection or a revocation list without an association")
	return errors.Join(append(errs, e.TRL.Validate())...)
}
