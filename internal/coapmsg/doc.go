// Package coapmsg holds what the OSCORE packages and the endpoint need of CoAP
// messages and go-coap's message package does not give: codes and options of
// later RFCs, a strict codec that keeps every option, the OSCORE option, and
// the split of a message into what is encrypted and what stays visible.
//
// It uses go-coap's message.Message, message.Options and codes.Code and
// touches none of go-coap's global tables. Nothing here opens a socket.
//
// The way of an outgoing message:
//
//	outer, plaintext, err := coapmsg.Split(m)        // RFC 8613, Sections 4 and 5.3
//	…encrypt plaintext…
//	outer = coapmsg.Insert(outer, message.Option{ID: coapmsg.OSCORE, Value: opt.Append(nil)})
//	b, err := coapmsg.AppendDatagram(nil, message.Message{Options: outer, …})
//
// and of an incoming one:
//
//	m, err := coapmsg.ParseDatagram(b)
//	value, n := coapmsg.FindOSCORE(m.Options)        // n must be 1
//	opt, err := coapmsg.ParseOSCOREOption(value)
//	…decrypt m.Payload…
//	inner, err := coapmsg.Join(m, plaintext)
//
// Parsed values alias the parsed bytes. All functions are safe for concurrent
// use as long as their arguments are not changed meanwhile.
package coapmsg
