package ace

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// opened is a token whose protection was verified, layer by layer.
type opened struct {
	claims    []byte     // encoded claims set
	hash      TokenHash  // of the token in its one strict form, whatever form it came in
	as        *TrustedAS // whose key verified the outermost layer; all other layers are by keys of the same issuer
	encrypted bool       // nobody but issuer and Resource Server can read it
	signed    bool
}

// layer is one COSE object of a token.
type layer struct {
	kind      cborTag // COSE_Encrypt0 or COSE_Sign1
	body      []byte  // the object without tags
	whole     []byte  // with them, as it came
	outermost bool
}

type cborTag uint64

// CBOR tags of RFC 8392 and RFC 9052.
const (
	tagCWT      cborTag = 61
	tagEncrypt0 cborTag = 16
	tagSign1    cborTag = 18
)

// maxLayers bounds the layers of a nested token: one of encryption and one of signature.
const maxLayers = 2

// openToken opens a token with the keys of those in trusted. Its shape has to be what RFC 9770, Section 3 leaves to issuers, if
// the issuer is not marked lenient. Errors wrap [ErrToken].
func openToken(token []byte, trusted []TrustedAS) (*opened, error) {
	o := &opened{}
	content := token
	for n := 0; ; n++ {
		l, ok, err := nextLayer(content, n == 0)
		if err != nil {
			return nil, err
		}
		if !ok {
			o.claims = content
			return o, nil
		}
		if n == maxLayers {
			return nil, fmt.Errorf("%w: more than %d layers", ErrToken, maxLayers)
		}
		if content, err = o.open(l, trusted); err != nil {
			return nil, err
		}
	}
}

// nextLayer splits the tags from content. Content of an inner layer without a COSE tag is the claims set: ok is false.
func nextLayer(content []byte, outermost bool) (l layer, ok bool, err error) {
	l = layer{whole: content, outermost: outermost}
	num, body, tagged := cborx.CutTag(content)
	if tagged && cborTag(num) == tagCWT { // a COSE tag must follow (RFC 8392, Section 6)
		if num, body, tagged = cborx.CutTag(body); !tagged {
			return l, false, fmt.Errorf("%w: a CWT tag without a COSE tag", ErrToken)
		}
	}
	switch kind := cborTag(num); {
	case tagged && (kind == tagEncrypt0 || kind == tagSign1):
		l.kind, l.body = kind, body
		return l, true, nil
	case tagged:
		return l, false, fmt.Errorf("%w: tag %d", ErrToken, num)
	case !outermost:
		return l, false, nil
	}
	// Without tags the context tells the type (RFC 8392, Section 7.2): here the number of elements.
	l.body = content
	switch {
	case len(content) > 0 && content[0] == 0x83:
		l.kind = tagEncrypt0
	case len(content) > 0 && content[0] == 0x84:
		l.kind = tagSign1
	default:
		return l, false, fmt.Errorf("%w: not tagged as CWT", ErrToken)
	}
	return l, true, nil
}

// open verifies one layer with a key of trusted and returns its content.
func (o *opened) open(l layer, trusted []TrustedAS) ([]byte, error) {
	if l.kind == tagEncrypt0 {
		return o.decrypt(l, trusted)
	}
	return o.verify(l, trusted)
}

func (o *opened) decrypt(l layer, trusted []TrustedAS) ([]byte, error) {
	m, err := cose.ParseEncrypt0(l.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	content, err := o.try(l.whole, strictEncrypted(m, l.outermost), m.KID, trusted, opener{
		kid:  func(as *TrustedAS) ([]byte, bool) { return as.Key.KID, as.Key.Alg != 0 && as.Key.Alg == m.Alg },
		open: func(as *TrustedAS) ([]byte, error) { return m.Open(as.Key.Key.Bytes(), nil) },
	})
	o.encrypted = o.encrypted || err == nil
	return content, err
}

func (o *opened) verify(l layer, trusted []TrustedAS) ([]byte, error) {
	m, err := cose.ParseSign1(l.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	content, err := o.try(l.whole, strictSigned(m, l.outermost), m.KID, trusted, opener{
		kid:  func(as *TrustedAS) ([]byte, bool) { return as.Verify.KID, as.Verify.Alg != 0 && as.Verify.Alg == m.Alg },
		open: func(as *TrustedAS) ([]byte, error) { return m.Payload, m.Verify(as.Verify.Key, nil) },
	})
	o.signed = o.signed || err == nil
	return content, err
}

// opener is what the kinds of layers differ in: the identifier of the key a record has for it, if it has one, and its use.
type opener struct {
	kid  func(as *TrustedAS) ([]byte, bool)
	open func(as *TrustedAS) ([]byte, error)
}

// try looks for the record of trusted whose key opens a layer, and returns its content. A layer that is not in its strict form is
// taken from lenient issuers only. kid is no more than a hint: it is not authentic yet, several keys may have it, and it may be
// absent from the tokens of lenient issuers.
func (o *opened) try(layer, form, kid []byte, trusted []TrustedAS, u opener) ([]byte, error) {
	fault := fmt.Errorf("%w: no key opens it", ErrToken)
	for i := range trusted {
		as := &trusted[i]
		if o.as != nil && as.Issuer != o.as.Issuer {
			continue
		}
		own, ok := u.kid(as)
		if !ok || !bytes.Equal(own, kid) && !(as.Lenient && kid == nil) {
			continue
		}
		if !as.Lenient && !bytes.Equal(layer, form) {
			fault = fmt.Errorf("%w: its tags, unprotected headers or encoding are not as its issuer's have to be", ErrToken)
			continue
		}
		content, err := u.open(as)
		if err != nil {
			continue
		}
		if o.as == nil {
			o.as, o.hash = as, HashToken(form)
		}
		return content, nil
	}
	return nil, fault
}

// openInfo opens what a Client posted as token (RFC 9770, Section 4.3.1): the token itself or, if that does not verify, its
// base64url text, which a Client has that got the token in JSON. The hash of both is the same. wellformed says whether either
// reading is CBOR at all.
func openInfo(info []byte, trusted []TrustedAS) (o *opened, wellformed bool, err error) {
	wellformed = cborx.Wellformed(info) == nil
	if wellformed {
		if o, err = openToken(info, trusted); err == nil {
			return o, true, nil
		}
	}
	token, ok := tokenOfText(info)
	if !ok {
		if err == nil {
			err = fmt.Errorf("%w: access token", ErrMalformed)
		}
		return nil, wellformed, err
	}
	o, terr := openToken(token, trusted)
	if terr != nil && err != nil {
		return nil, true, err
	}
	return o, true, terr
}

// tokenOfText decodes the base64url text of a token. Of the texts that a decoder takes for the same token only the one without
// line breaks and with all unused bits zero is its text: another would have another hash.
func tokenOfText(text []byte) (token []byte, ok bool) {
	token = make([]byte, base64.RawURLEncoding.DecodedLen(len(text)))
	n, err := base64.RawURLEncoding.Strict().Decode(token, text)
	token = token[:n]
	if err != nil || base64.RawURLEncoding.EncodeToString(token) != string(text) {
		return nil, false
	}
	return token, cborx.Wellformed(token) == nil
}

// OpenIssued opens what a Resource Server presented as token with the keys of those in trusted and reads its claims: how an
// Authorization Server looks into a token that it has issued. It judges none of them.
func OpenIssued(info []byte, trusted []TrustedAS) (*Claims, error) {
	o, _, err := openInfo(info, trusted)
	if err != nil {
		return nil, err
	}
	return ParseClaims(o.claims)
}
