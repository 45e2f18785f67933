package ace

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// ErrEnrolment is wrapped when an enrolment file cannot be used.
var ErrEnrolment = errors.New("unusable enrolment")

// Enrolment is all a device is given once: where its Authorization Server and its Group Manager are, and the secret it shares
// with the former. It travels as a JSON file that only the device can read. Values of this type print without the secret.
//
// The secret is used for nothing but RFC 8613, Appendix B.2, at each start of the device, and by one device only: the
// Authorization Server notices when two use it.
type Enrolment struct {
	Device   string // name of the device at the Authorization Server
	AS       EnrolmentAS
	Audience string // of the Group Manager in tokens
	GM       string // URI of the Group Manager, such as coap://192.0.2.1:5683
	// TRL is the list of revoked tokens, at the Authorization Server; nil: none is offered.
	TRL *TRLInfo
}

// EnrolmentAS is the device's association with its Authorization Server.
type EnrolmentAS struct {
	URI    string        // of the token endpoint
	ID     []byte        // OSCORE Sender ID of the device
	ASID   []byte        // OSCORE Sender ID of the Authorization Server
	Secret secret.Hidden // Master Secret
	Salt   secret.Hidden // Master Salt
}

// Params returns the device's side of the static Security Context with the Authorization Server, the input of RFC 8613,
// Appendix B.2. No message is ever protected with this context itself.
func (a EnrolmentAS) Params() oscore.Params {
	return oscore.Params{
		MasterSecret: a.Secret.Bytes().Clone(),
		MasterSalt:   a.Salt.Bytes().Clone(),
		SenderID:     bytes.Clone(a.ID),
		RecipientID:  bytes.Clone(a.ASID),
	}
}

// enrolmentVersion is the version of the file's format.
const enrolmentVersion = 1

// enrolmentFile is the file.
type enrolmentFile struct {
	Version  int      `json:"version"`
	Device   string   `json:"device"`
	AS       fileAS   `json:"as"`
	Audience string   `json:"audience"`
	GM       string   `json:"gm"`
	TRL      *TRLInfo `json:"trl,omitempty"`
}

type fileAS struct {
	URI    string  `json:"uri"`
	ID     string  `json:"id"`
	ASID   string  `json:"as_id"`
	Secret written `json:"secret"`
	Salt   written `json:"salt"`
}

// file returns the association as files have it.
func (a EnrolmentAS) file() *fileAS {
	return &fileAS{
		URI: a.URI, ID: hex.EncodeToString(a.ID), ASID: hex.EncodeToString(a.ASID), Secret: written{a.Secret}, Salt: written{a.Salt},
	}
}

// written is a secret that stands in a file, in base64.
type written struct{ secret.Hidden }

// MarshalJSON writes the secret in the clear.
func (w written) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(w.Bytes())) }

// UnmarshalJSON reads it.
func (w *written) UnmarshalJSON(b []byte) error {
	var v []byte
	err := json.Unmarshal(b, &v)
	w.Hidden = secret.Hide(v)
	return err
}

// Marshal returns the file, with the secret in the clear: write it with mode 0600, show it to nobody.
func (e *Enrolment) Marshal() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	f := enrolmentFile{
		Version: enrolmentVersion, Device: e.Device, Audience: e.Audience, GM: e.GM, TRL: e.TRL,
		AS: *e.AS.file(),
	}
	return encodeFile(f)
}

// maxEnrolment bounds the file, in bytes.
const maxEnrolment = 16 << 10

// ParseEnrolment reads the file. Unknown members, a second value and anything else that was not meant wrap [ErrEnrolment].
func ParseEnrolment(b []byte) (*Enrolment, error) {
	var f enrolmentFile
	if err := decodeFile(b, &f); err != nil {
		return nil, err
	}
	if f.Version != enrolmentVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrEnrolment, f.Version, enrolmentVersion)
	}
	as, err := f.AS.association()
	if err != nil {
		return nil, err
	}
	e := &Enrolment{Device: f.Device, Audience: f.Audience, GM: f.GM, AS: as, TRL: f.TRL}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

// maxOSCOREID is the longest OSCORE identifier with the default algorithm, in bytes (RFC 8613, Section 3.3).
const maxOSCOREID = 7

// Validate returns all faults of e, joined; each wraps [ErrEnrolment].
func (e *Enrolment) Validate() error {
	var errs []error
	add := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: %s", ErrEnrolment, text))
		}
	}
	add(e.Device == "", "no device name")
	add(e.Audience == "", "no audience")
	add(!coapURI(e.GM), "the group manager's URI is no coap URI")
	return errors.Join(append(append(errs, e.AS.validate()...), e.TRL.Validate())...)
}

func (a EnrolmentAS) validate() (errs []error) {
	add := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: %s", ErrEnrolment, text))
		}
	}
	add(!coapURI(a.URI), "the authorization server's URI is no coap URI")
	add(a.Secret.Len() < minMasterSecret || a.Secret.Len() > maxMasterSecret, "the secret has a wrong length")
	add(a.Salt.Len() > maxSalt, "the salt is too long")
	add(len(a.ID) > maxOSCOREID || len(a.ASID) > maxOSCOREID, "an identifier is too long")
	add(bytes.Equal(a.ID, a.ASID), "both sides have the same identifier")
	return errs
}

func coapURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "coap" || u.Scheme == "coap+tcp") && u.Host != "" && u.Fragment == ""
}
