package decode

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Datagram writes out a CoAP message as it travels in a datagram (RFC 7252,
// Section 3). An error says what is wrong with b; what could be read before it
// is written all the same.
func Datagram(w io.Writer, b []byte) error {
	m, err := coapmsg.ParseDatagram(b)
	if m.MessageID >= 0 {
		fmt.Fprintf(w, "%s %s, message id 0x%04x%s\n", typeName(m.Type), codeName(m.Code), m.MessageID, token(m.Token))
	}
	if err != nil {
		return err
	}
	return content(w, m)
}

// Frame writes out a CoAP message as it travels over TCP (RFC 8323, Section 3.2).
func Frame(w io.Writer, b []byte) error {
	m, err := coapmsg.ParseFrame(b)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s%s\n", codeName(m.Code), token(m.Token))
	return content(w, m)
}

func content(w io.Writer, m message.Message) error {
	for _, o := range m.Options {
		if coapmsg.IsSignal(m.Code) {
			fmt.Fprintf(w, "  %s: %s\n", signalOption(m.Code, o.ID), hexOf(o.Value))
			continue
		}
		fmt.Fprintf(w, "  %s: %s\n", optionName(o.ID), optionValue(o))
	}
	if v, n := coapmsg.FindOSCORE(m.Options); n > 0 {
		protected(w, v, m.Payload)
		return nil
	}
	if len(m.Payload) > 0 {
		payload(w, m)
	}
	return nil
}

// protected writes out what an OSCORE message says in clear (RFC 8613, Sections
// 5 and 6.1).
func protected(w io.Writer, value, ciphertext []byte) {
	opt, err := coapmsg.ParseOSCOREOption(value)
	if err != nil {
		fmt.Fprintf(w, "  OSCORE option is malformed: %v\n", err)
		return
	}
	mode := "OSCORE, or Group OSCORE in pairwise mode"
	if opt.Group {
		mode = "Group OSCORE in group mode"
	}
	fmt.Fprintf(w, "%s\n", mode)
	var unprotected []string
	if opt.PIV != nil {
		n, _ := coapmsg.DecodePIV(opt.PIV)
		fmt.Fprintf(w, "  Partial IV: %d\n", n)
		unprotected = append(unprotected, "6: "+hexOf(opt.PIV))
	}
	if opt.KID != nil {
		fmt.Fprintf(w, "  kid: %s\n", hexOf(opt.KID))
		unprotected = append(unprotected, "4: "+hexOf(opt.KID))
	}
	if opt.KIDContext != nil {
		fmt.Fprintf(w, "  kid context: %s\n", hexOf(opt.KIDContext))
		unprotected = append(unprotected, "10: "+hexOf(opt.KIDContext))
	}
	what := "ciphertext and tag"
	if opt.Group {
		what = "ciphertext, tag and encrypted countersignature"
	}
	fmt.Fprintf(w, "  COSE_Encrypt0: [h'', {%s}, %s]\n  %d bytes of %s\n", strings.Join(unprotected, ", "), hexOf(ciphertext), len(ciphertext), what)
}

func token(t message.Token) string {
	if len(t) == 0 {
		return ", no token"
	}
	return ", token " + hexOf(t)
}

func hexOf(b []byte) string { return "h'" + hex.EncodeToString(b) + "'" }

// text writes bytes as a string if they are one that can be printed.
func text(b []byte) string {
	if utf8.Valid(b) {
		return fmt.Sprintf("%q", b)
	}
	return hexOf(b)
}

func typeName(t message.Type) string {
	switch t {
	case message.Confirmable:
		return "CON"
	case message.NonConfirmable:
		return "NON"
	case message.Acknowledgement:
		return "ACK"
	case message.Reset:
		return "RST"
	}
	return "?"
}

func codeName(c codes.Code) string {
	name := ""
	switch c {
	case codes.Empty:
		name = "Empty"
	case coapmsg.FETCH:
		name = "FETCH"
	case coapmsg.PATCH:
		name = "PATCH"
	case coapmsg.IPATCH:
		name = "iPATCH"
	case coapmsg.Conflict:
		name = "Conflict"
	case coapmsg.UnprocessableEntity:
		name = "Unprocessable Entity"
	case coapmsg.HopLimitReached:
		name = "Hop Limit Reached"
	default:
		if name = c.String(); strings.HasPrefix(name, "Code(") {
			return coapmsg.CodeString(c)
		}
	}
	return coapmsg.CodeString(c) + " " + name
}
