package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ErrCapture reports a file that is no packet capture, or a broken one.
var ErrCapture = errors.New("not a packet capture")

// maxPackets bounds how much of a capture is read.
const maxPackets = 1_000_000

// reader is what both formats have.
type reader interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

// Capture writes out the CoAP messages of a capture in the format pcap or
// pcapng: what travels by UDP or TCP from or to one of the ports. A message of
// TCP is seen if it lies within one segment. It returns how many there were.
func Capture(w io.Writer, r io.Reader, ports ...uint16) (n int, err error) {
	in := bufio.NewReader(r)
	var p reader
	if head, _ := in.Peek(4); bytes.Equal(head, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		p, err = pcapgo.NewNgReader(in, pcapgo.DefaultNgReaderOptions)
	} else {
		p, err = pcapgo.NewReader(in)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCapture, err)
	}
	for i := 1; i <= maxPackets; i++ {
		data, info, err := p.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("%w: packet %d: %w", ErrCapture, i, err)
		}
		n += packet(w, i, data, info.Timestamp, p.LinkType(), ports)
	}
	return n, nil
}

func packet(w io.Writer, i int, data []byte, at time.Time, link layers.LinkType, ports []uint16) (n int) {
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	nl := p.NetworkLayer()
	if nl == nil {
		return 0
	}
	src, dst := nl.NetworkFlow().Endpoints()
	head := func(kind string, from, to uint16) {
		fmt.Fprintf(w, "#%d %s %s %s:%d > %s:%d\n", i, at.UTC().Format("15:04:05.000000"), kind, src, from, dst, to)
	}
	wanted := func(a, b uint16) bool {
		for _, port := range ports {
			if port == a || port == b {
				return true
			}
		}
		return false
	}
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		from, to := uint16(l.SrcPort), uint16(l.DstPort)
		if !wanted(from, to) {
			return 0
		}
		head("UDP", from, to)
		if err := Datagram(w, l.Payload); err != nil {
			fmt.Fprintf(w, "  %v: %s\n", err, hexOf(l.Payload))
		}
		return 1
	case *layers.TCP:
		from, to := uint16(l.SrcPort), uint16(l.DstPort)
		if !wanted(from, to) {
			return 0
		}
		for b := l.Payload; len(b) > 0; n++ {
			size, need, err := coapmsg.FrameSize(b)
			head("TCP", from, to)
			if err != nil || need > 0 || size > uint64(len(b)) {
				fmt.Fprintf(w, "  %d bytes of a message that does not end here\n", len(b))
				return n
			}
			if err := Frame(w, b[:size]); err != nil {
				fmt.Fprintf(w, "  %v: %s\n", err, hexOf(b[:size]))
			}
			b = b[size:]
		}
	}
	return n
}
