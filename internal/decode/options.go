package decode

import (
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// optionName names an option, by the IANA registry "CoAP Option Numbers", as far as this module
// knows it.
func optionName(id message.OptionID) string {
	name := map[message.OptionID]string{
		message.IfMatch: "If-Match", message.URIHost: "Uri-Host", message.ETag: "ETag", message.IfNoneMatch: "If-None-Match",
		message.Observe: "Observe", message.URIPort: "Uri-Port", message.LocationPath: "Location-Path", coapmsg.OSCORE: "OSCORE",
		message.URIPath: "Uri-Path", message.ContentFormat: "Content-Format", message.MaxAge: "Max-Age", message.URIQuery: "Uri-Query",
		coapmsg.HopLimit: "Hop-Limit", message.Accept: "Accept", coapmsg.QBlock1: "Q-Block1", message.LocationQuery: "Location-Query",
		coapmsg.EDHOC: "EDHOC", message.Block2: "Block2", message.Block1: "Block1", message.Size2: "Size2", coapmsg.QBlock2: "Q-Block2",
		message.ProxyURI: "Proxy-Uri", message.ProxyScheme: "Proxy-Scheme", message.Size1: "Size1", coapmsg.Echo: "Echo",
		coapmsg.NoResponse: "No-Response", coapmsg.RequestTag: "Request-Tag", coapmsg.RequestHash: "Request-Hash",
	}[id]
	if name == "" {
		name = "unknown elective option"
		if coapmsg.IsCritical(id) {
			name = "unknown critical option"
		}
	}
	return fmt.Sprintf("%s (%d)", name, id)
}

// optionValue writes the value of an option in the format of the option.
func optionValue(o message.Option) string {
	switch o.ID {
	case message.URIHost, message.LocationPath, message.URIPath, message.URIQuery, message.LocationQuery, message.ProxyURI, message.ProxyScheme:
		return text(o.Value)
	case message.ContentFormat, message.Accept:
		if n, err := coapmsg.DecodeUint(o.Value); err == nil {
			return fmt.Sprintf("%d%s", n, formatName(n))
		}
	case message.Observe, message.URIPort, message.MaxAge, coapmsg.HopLimit, message.Size1, message.Size2, coapmsg.NoResponse:
		if n, err := coapmsg.DecodeUint(o.Value); err == nil {
			return fmt.Sprint(n)
		}
	case message.Block1, message.Block2, coapmsg.QBlock1, coapmsg.QBlock2:
		if n, err := coapmsg.DecodeUint(o.Value); err == nil && n < 1<<24 {
			size := fmt.Sprint(16 << (n & 7))
			if n&7 == 7 {
				size = "BERT"
			}
			more := "last"
			if n&8 != 0 {
				more = "more"
			}
			return fmt.Sprintf("%d/%s/%s", n>>4, more, size)
		}
	}
	return hexOf(o.Value)
}

// formatName names content formats (IANA registry "CoAP Content-Formats").
func formatName(n uint32) string {
	name := map[uint32]string{
		0: "text/plain", 19: "application/ace+cbor", 40: "application/link-format", 42: "application/octet-stream",
		50: "application/json", 60: "application/cbor", 61: "application/cwt", 64: "application/edhoc+cbor-seq",
		65: "application/cid-edhoc+cbor-seq", 16: "application/cose; cose-type=\"cose-encrypt0\"", 101: "application/cose-key", 110: "application/senml+json",
		112: "application/senml+cbor", 257: "application/concise-problem-details+cbor", 261: "application/ace-groupcomm+cbor",
		262: "application/ace-trl+cbor", 297: "application/aif+cbor (Group OSCORE)",
	}[n]
	if name == "" {
		return ""
	}
	return " " + name
}

// signalOption names the options of signalling messages (RFC 8323, Section 5).
func signalOption(c codes.Code, id message.OptionID) string {
	name := map[codes.Code]map[message.OptionID]string{
		coapmsg.CSM: {
			coapmsg.CSMMaxMessageSize: "Max-Message-Size", coapmsg.CSMBlockWiseTransfer: "Block-Wise-Transfer",
			coapmsg.CSMExtendedTokenLength: "Extended-Token-Length",
		},
		coapmsg.Ping:    {coapmsg.PingCustody: "Custody"},
		coapmsg.Pong:    {coapmsg.PingCustody: "Custody"},
		coapmsg.Release: {coapmsg.ReleaseAlternativeAddress: "Alternative-Address", coapmsg.ReleaseHoldOff: "Hold-Off"},
		coapmsg.Abort:   {coapmsg.AbortBadCSMOption: "Bad-CSM-Option"},
	}[c][id]
	if name == "" {
		name = "unknown option"
	}
	return fmt.Sprintf("%s (%d)", name, id)
}
