package interop

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// RFC 8613, Appendix C.4: its message and its context.
func TestWiresharkDecryptsWithTheKeyLog(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var log bytes.Buffer
	p := oscore.Params{
		MasterSecret: secret.Bytes(unhex("0102030405060708090a0b0c0d0e0f10")), MasterSalt: secret.Bytes(unhex("9e7ca92223786340")),
		SenderID: []byte{}, RecipientID: []byte{1},
	}
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
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true},
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, IHL: 5, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: []byte{127, 0, 0, 1}, DstIP: []byte{127, 0, 0, 2}},
		&layers.UDP{SrcPort: 40000, DstPort: 5683},
		gopacket.Payload(unhex("44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"))); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	capture := filepath.Join(dir, "c4.pcap")
	if err := os.WriteFile(capture, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", capture, "-V")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "HOME="+dir, "WIRESHARK_CONFIG_DIR="+config)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Uri-Path: tv1") {
		t.Fatalf("%v\n%s", err, out)
	}
}
