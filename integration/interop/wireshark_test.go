package interop

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// dissect has Wireshark's dissectors print some datagrams, with the keys of a
// context known to them.
func dissect(t *testing.T, p oscore.Params, packets ...netsim.Packet) string {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	var log bytes.Buffer
	if err := p.InsecureKeyLog(&log); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "wireshark")
	if err := os.Mkdir(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "oscore_contexts"), log.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, d := range packets {
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true},
			&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
			&layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: d.From.Addr().AsSlice(), DstIP: d.To.Addr().AsSlice()},
			&layers.UDP{SrcPort: layers.UDPPort(d.From.Port()), DstPort: layers.UDPPort(d.To.Port())},
			gopacket.Payload(d.Data)); err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i)+1, 0), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	capture := filepath.Join(dir, "messages.pcap")
	if err := os.WriteFile(capture, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-n", "-r", capture, "-V")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "HOME="+dir, "WIRESHARK_CONFIG_DIR="+config)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestWiresharkDecryptsWithTheKeyLog(t *testing.T) {
	t.Parallel()
	secretKey, salt := secret.Bytes("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"), secret.Bytes("\x9e\x7c\xa9\x22\x23\x78\x63\x40")
	server, client := netip.MustParseAddrPort("10.0.0.1:5683"), netip.MustParseAddrPort("10.0.0.2:40000")
	t.Run("the message of RFC 8613, Appendix C.4", func(t *testing.T) {
		b, err := hex.DecodeString("44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e")
		if err != nil {
			t.Fatal(err)
		}
		p := oscore.Params{MasterSecret: secretKey, MasterSalt: salt, SenderID: []byte{}, RecipientID: []byte{1}}
		if out := dissect(t, p, netsim.Packet{From: client, To: server, Data: b}); !strings.Contains(out, "Uri-Path: tv1") {
			t.Fatal(out)
		}
	})
	t.Run("messages of two endpoints, a notification too", func(t *testing.T) {
		p := oscore.Params{MasterSecret: secretKey, MasterSalt: salt, IDContext: []byte("c"), SenderID: []byte("cl"), RecipientID: []byte("se")}
		mine, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		theirs := p
		theirs.SenderID, theirs.RecipientID = p.RecipientID, p.SenderID
		ctx, err := oscore.NewContext(theirs, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		contexts := &endpoint.Contexts{}
		if err := contexts.AddOSCORE(ctx, nil, nil); err != nil {
			t.Fatal(err)
		}
		var packets []netsim.Packet
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			n.SetFilter(func(p netsim.Packet) netsim.Verdict {
				p.Data = bytes.Clone(p.Data)
				packets = append(packets, p)
				return netsim.Verdict{}
			})
			m := endpoint.NewMux()
			state := "it is cold"
			m.Handle("/inside", endpoint.AcceptOSCORE, endpoint.Observable(mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
				_ = w.SetResponse(codes.Content, message.TextPlain, strings.NewReader(state))
			})))
			s, err := endpoint.New(endpoint.Config{Network: n, Unicast: server, Handler: m, Openers: []endpoint.RequestOpener{contexts}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c, err := endpoint.New(endpoint.Config{Network: n, Unicast: client})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for r, err := range c.Observe(t.Context(), endpoint.Request{To: server, Code: codes.GET, Path: "inside", Security: endpoint.WithOSCORE(mine)}) {
				if err != nil {
					t.Fatal(err)
				}
				if string(r.Payload) == "it is warm" {
					break
				}
				synctest.Wait()
				state = "it is warm"
				s.Notify("/inside")
			}
			synctest.Wait()
		})
		out := dissect(t, p, packets...)
		for _, want := range []string{"Uri-Path: inside", "it is cold", "it is warm"} {
			if !strings.Contains(out, want) {
				t.Fatalf("no %q in\n%s", want, out)
			}
		}
	})
}
