package ace

import "github.com/plgd-dev/go-coap/v3/message"

// CoAP Content-Formats of the messages in this package and in groupcomm.
const (
	ContentFormatACE       message.MediaType = 19  // application/ace+cbor (RFC 9200, Section 8.16)
	ContentFormatCBOR      message.MediaType = 60  // application/cbor (RFC 8949, Section 9.4)
	ContentFormatCWT       message.MediaType = 61  // application/cwt (RFC 8392, Section 9.1)
	ContentFormatProblem   message.MediaType = 257 // application/concise-problem-details+cbor (RFC 9290, Section 6.3)
	ContentFormatGroupcomm message.MediaType = 261 // application/ace-groupcomm+cbor (RFC 9594, Section 11.2)
	ContentFormatTRL       message.MediaType = 262 // application/ace-trl+cbor (RFC 9770, Section 14.4)
	// ContentFormatAIFREST and ContentFormatAIFRESTJSON are application/aif+cbor and application/aif+json with the default
	// Toid and Tperm (RFC 9237, Section 5.3); the other two are those with toid=oscore-gname and tperm=oscore-gperm
	// (ace-key-groupcomm-oscore, Section 17.11).
	ContentFormatAIFREST     message.MediaType = 290
	ContentFormatAIFRESTJSON message.MediaType = 291
	ContentFormatAIF         message.MediaType = 297
	ContentFormatAIFJSON     message.MediaType = 298
)

// scopeTag is the CBOR tag that names the semantics of an extended scope: the tag of Content-Format 297 (RFC 9277, Section 4.3;
// RFC 9594, Section 7; ace-key-groupcomm-oscore, Section 5.2).
const scopeTag = 1668546817 + uint64(ContentFormatAIF)/255*256 + uint64(ContentFormatAIF)%255
