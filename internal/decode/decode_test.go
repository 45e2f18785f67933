package decode

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func datagram(t testing.TB, m message.Message) []byte {
	t.Helper()
	m.Type, m.MessageID = message.NonConfirmable, 0x1234
	b, err := coapmsg.AppendDatagram(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDatagram(t *testing.T) {
	format := func(v string) message.Option {
		return message.Option{ID: message.ContentFormat, Value: unhex(t, v)}
	}
	for _, c := range []struct{ name, in, want string }{
		{"RFC 8613, Appendix C.4", "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e",
			"CON 0.02 POST, message id 0x5d1f, token h'00003974'\n" +
				"  Uri-Host (3): \"localhost\"\n  OSCORE (9): h'0914'\n" +
				"OSCORE, or Group OSCORE in pairwise mode\n  Partial IV: 20\n  kid: h''\n" +
				"  COSE_Encrypt0: [h'', {6: h'14', 4: h''}, h'612f1092f1776f1c1668b3825e']\n  13 bytes of ciphertext and tag\n"},
		{"group mode", hex.EncodeToString(datagram(t, message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: unhex(t, "390503447161c1")}}, Payload: []byte{1}})),
			"NON 0.02 POST, message id 0x1234, no token\n  OSCORE (9): h'390503447161c1'\nGroup OSCORE in group mode\n  Partial IV: 5\n" +
				"  kid: h'c1'\n  kid context: h'447161'\n  COSE_Encrypt0: [h'', {6: h'05', 4: h'c1', 10: h'447161'}, h'01']\n" +
				"  1 bytes of ciphertext, tag and encrypted countersignature\n"},
		{"ace-groupcomm", hex.EncodeToString(datagram(t, message.Message{Code: codes.Content, Options: message.Options{format("0105")}, Payload: unhex(t, "a3074109"+"09181f"+"186401")})),
			"NON 2.05 Content, message id 0x1234, no token\n  Content-Format (12): 261 application/ace-groupcomm+cbor\n" +
				"  payload: {\n    7 / gkty /: h'09'\n    9 / num /: 31\n    100: 1\n  }\n"},
		{"problem details", hex.EncodeToString(datagram(t, message.Message{Code: codes.BadRequest, Options: message.Options{format("0101")}, Payload: unhex(t, "a100a10003")})),
			"NON 4.00 BadRequest, message id 0x1234, no token\n  Content-Format (12): 257 application/concise-problem-details+cbor\n" +
				"  payload: {\n    0 / ace-groupcomm-error /: {0: 3}\n  }\n"},
		{"options", hex.EncodeToString(datagram(t, message.Message{Code: coapmsg.FETCH, Options: message.Options{
			{ID: message.Observe}, {ID: message.URIPath, Value: []byte("\x00ü")}, {ID: message.URIPath, Value: []byte{0xff}}, {ID: message.Block2, Value: []byte{0x2e}},
			{ID: message.Block1, Value: []byte{0x0f}}, {ID: message.MaxAge, Value: []byte{1, 0}}, {ID: 9998}, {ID: 9999, Value: []byte{1}}}})),
			"NON 0.05 FETCH, message id 0x1234, no token\n  Observe (6): 0\n  Uri-Path (11): \"\\x00ü\"\n  Uri-Path (11): h'ff'\n  Max-Age (14): 256\n" +
				"  Block2 (23): 2/more/1024\n  Block1 (27): 0/more/BERT\n  unknown elective option (9998): h''\n  unknown critical option (9999): h'01'\n"},
		{"diagnostic text", "5184123401ff6e6f", "NON 4.04 NotFound, message id 0x1234, token h'01'\n  payload: \"no\"\n"},
		{"broken CBOR", hex.EncodeToString(datagram(t, message.Message{Code: codes.Content, Options: message.Options{format("3c")}, Payload: unhex(t, "01a1")})),
			"NON 2.05 Content, message id 0x1234, no token\n  Content-Format (12): 60 application/cbor\n  payload: 1\n  payload ends with what is no CBOR: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if err := Datagram(&out, unhex(t, c.in)); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != c.want && !(strings.HasSuffix(c.want, ": ") && strings.HasPrefix(got, c.want)) {
				t.Fatalf("got\n%swant\n%s", got, c.want)
			}
		})
	}
	t.Run("what could be read is written before the error", func(t *testing.T) {
		var out strings.Builder
		if err := Datagram(&out, unhex(t, "400100010f")); !errors.Is(err, coapmsg.ErrFormat) || out.String() != "CON 0.01 GET, message id 0x0001, no token\n" {
			t.Fatalf("%q %v", out.String(), err)
		}
	})
	t.Run("signals of TCP", func(t *testing.T) {
		var out strings.Builder
		if err := Frame(&out, unhex(t, "30e1230100"[:4]+"220480")); err != nil || !strings.Contains(out.String(), "Max-Message-Size (2): h'0480'") {
			t.Fatalf("%q %v", out.String(), err)
		}
	})
}

// capture makes a pcap file of packets.
func capture(t testing.TB, ng bool, packets ...[]gopacket.SerializableLayer) []byte {
	t.Helper()
	var file bytes.Buffer
	var write func(gopacket.CaptureInfo, []byte) error
	flush := func() error { return nil }
	if ng {
		w, err := pcapgo.NewNgWriter(&file, layers.LinkTypeEthernet)
		if err != nil {
			t.Fatal(err)
		}
		write, flush = w.WritePacket, w.Flush
	} else {
		w := pcapgo.NewWriter(&file)
		if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		write = w.WritePacket
	}
	for _, p := range packets {
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, p...); err != nil {
			t.Fatal(err)
		}
		if err := write(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := flush(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func udp(port uint16, payload []byte) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}},
		&layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}, gopacket.Payload(payload),
	}
}

func tcp(payload []byte) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv6},
		&layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolTCP, SrcIP: make([]byte, 16), DstIP: make([]byte, 16)},
		&layers.TCP{SrcPort: 5683, DstPort: 40000, PSH: true, ACK: true, Window: 1000}, gopacket.Payload(payload),
	}
}

func TestCapture(t *testing.T) {
	get := unhex(t, "40010001b161")
	for _, ng := range []bool{false, true} {
		file := capture(t, ng, udp(5683, get), udp(53, get), tcp(unhex(t, "00e101437f0145")), udp(5683, []byte{0x40}))
		var out strings.Builder
		n, err := Capture(&out, bytes.NewReader(file), 5683)
		want := "#1 00:00:01.000000 UDP 192.0.2.1:40000 > 192.0.2.2:5683\nCON 0.01 GET, message id 0x0001, no token\n  Uri-Path (11): \"a\"\n" +
			"#3 00:00:01.000000 TCP :::5683 > :::40000\n7.01 Capabilities and Settings Messages, no token\n" +
			"#3 00:00:01.000000 TCP :::5683 > :::40000\n2.03 Valid, token h'7f'\n" +
			"#3 00:00:01.000000 TCP :::5683 > :::40000\n  2 bytes of a message that does not end here\n" +
			"#4 00:00:01.000000 UDP 192.0.2.1:40000 > 192.0.2.2:5683\n  coap message format error: 1 bytes: h'40'\n"
		if err != nil || n != 4 || out.String() != want {
			t.Fatalf("%d %v\n%s\nwant\n%s", n, err, out.String(), want)
		}
		if _, err := Capture(io.Discard, bytes.NewReader(file[:len(file)-3]), 5683); !errors.Is(err, ErrCapture) {
			t.Fatal(err)
		}
	}
	for _, b := range []string{"", "not a capture at all, but text"} {
		if _, err := Capture(io.Discard, strings.NewReader(b), 5683); !errors.Is(err, ErrCapture) {
			t.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, h := range []string{"44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e", "5045000111ff", "50450001c3010105ffa1074109", "00e1", "50450001c13cffbf01ff"} {
		f.Add(unhex(f, h))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = Datagram(io.Discard, b)
		_ = Frame(io.Discard, b)
		CBOR(io.Discard, b, parameterNames(261))
	})
}

func FuzzCapture(f *testing.F) {
	get := unhex(f, "40010001b161")
	f.Add(capture(f, false, udp(5683, get), tcp(get)))
	f.Add(capture(f, true, udp(5683, get), tcp(get)))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Capture(io.Discard, bytes.NewReader(b), 5683) })
}
