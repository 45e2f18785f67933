package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/decode"
)

// maxDecode is how much hex is read: more than any datagram has.
const maxDecode = 1 << 20

func (a *app) decodeCmd() *cobra.Command {
	var capture string
	var ports []uint
	var stream bool
	cmd := &cobra.Command{
		Use:   "decode [HEX...]",
		Short: "Write out CoAP messages: header, options, OSCORE fields, CBOR",
		Long: "decode writes out one CoAP message given in hexadecimal, as arguments or on standard input, or the\n" +
			"messages of a packet capture. It needs no enrolment and knows no keys: of protected messages it shows\n" +
			"what everybody on the path sees.",
		Example: "  member decode 44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e\n" +
			"  member decode --pcap lamps.pcap",
		RunE: func(c *cobra.Command, args []string) error {
			if capture != "" {
				if len(args) > 0 {
					return cli.Fail(cli.ExitUsage, "", "a capture and a message are too much at once")
				}
				return a.decodeCapture(capture, ports)
			}
			b, err := hexInput(c.InOrStdin(), args)
			if err != nil {
				return err
			}
			run := decode.Datagram
			if stream {
				run = decode.Frame
			}
			if err := run(a.out, b); err != nil {
				return cli.Fail(cli.ExitFailed, "", "this is no CoAP message: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&capture, "pcap", "", "packet capture `file`, in the format pcap or pcapng")
	cmd.Flags().UintSliceVar(&ports, "port", []uint{5683}, "UDP or TCP `ports` of CoAP in the capture")
	cmd.Flags().BoolVar(&stream, "tcp", false, "the message is one of CoAP over TCP")
	return cmd
}

func (a *app) decodeCapture(name string, ports []uint) error {
	f, err := os.Open(name)
	if err != nil {
		return cli.Fail(cli.ExitUsage, "", "%w", err)
	}
	defer f.Close()
	var list []uint16
	for _, p := range ports {
		if p == 0 || p > 65535 {
			return cli.Fail(cli.ExitUsage, "", "port %d", p)
		}
		list = append(list, uint16(p))
	}
	n, err := decode.Capture(a.out, f, list...)
	if err != nil {
		return cli.Fail(cli.ExitFailed, "", "%s: %w", name, err)
	}
	if n == 0 {
		return cli.Fail(cli.ExitPartial, "choose others with --port", "no message from or to ports %v in %s", ports, name)
	}
	return nil
}

// hexInput takes hexadecimal digits; what usually stands between them is skipped.
func hexInput(in io.Reader, args []string) ([]byte, error) {
	s := strings.Join(args, "")
	if len(args) == 0 || s == "-" {
		b, err := io.ReadAll(io.LimitReader(in, maxDecode))
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		s = string(b)
	}
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "h'"), "'")
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n:-", r) {
			return -1
		}
		return r
	}, strings.TrimPrefix(s, "0x"))
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, cli.Fail(cli.ExitUsage, "give the bytes of one message as hexadecimal digits", "not hexadecimal: %w", err)
	}
	return b, nil
}
