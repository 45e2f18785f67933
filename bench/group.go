package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
)

// groupSuite measures the group mode against one signature by the standard
// library, and one verification with an expanded key, over as many bytes as the
// mode signs.
func groupSuite(m *meter) ([]figure, error) {
	g, err := newGroup()
	if err != nil {
		return nil, err
	}
	client, sender, err := g.member([]byte{1})
	if err != nil {
		return nil, err
	}
	server, _, err := g.member([]byte{2})
	if err != nil {
		return nil, err
	}
	req := request()
	protected, _, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
	if err != nil {
		return nil, err
	}
	signed, err := signedBytes(&g.params, sender.Credential.Bytes(), protected)
	if err != nil {
		return nil, err
	}
	sign, verify, err := signatureFloor(signed)
	if err != nil {
		return nil, err
	}
	var in []message.Message
	ops := []*op{
		{name: "Group mode protect request", do: func(int) error {
			_, _, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
			return err
		}},
		{name: "Group mode unprotect request", make: func(n int) error {
			in = in[:0]
			for range n {
				p, _, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
				if err != nil {
					return err
				}
				in = append(in, p)
			}
			return nil
		}, do: func(i int) error {
			_, _, _, err := server.UnprotectRequest(in[i])
			return err
		}},
	}
	if err := m.time(sign, ops[0], verify, ops[1]); err != nil {
		return nil, err
	}
	return []figure{
		atMostTimes(ops[0].name, ops[0].fastest, sign.fastest, "ns", 1.12),
		atMostTimes(ops[1].name, ops[1].fastest, verify.fastest, "ns", 1.15),
	}, nil
}

// signedBytes is how many bytes the countersignature of a request covers: the
// Countersign_structure around external_aad and ciphertext
// (draft-ietf-core-oscore-groupcomm-28, Section 4.2).
func signedBytes(p *grouposcore.Params, sender []byte, protected message.Message) (int, error) {
	external, err := externalAAD(p, sender, protected)
	ciphertext := protected.Payload[:len(protected.Payload)-ed25519.SignatureSize]
	return len(cose.AppendCountersignStructure(nil, p.Countersign, external, ciphertext)), err
}

// signatureFloor are one signature and one verification over n bytes.
func signatureFloor(n int) (sign, verify *op, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	expanded, err := voi.NewExpandedPublicKey(voi.PublicKey(public))
	if err != nil {
		return nil, nil, err
	}
	// Many messages: how long a verification takes depends on the signature.
	var msgs, signatures [64][]byte
	for i := range msgs {
		msgs[i] = make([]byte, n)
		msgs[i][0] = byte(i)
		signatures[i] = ed25519.Sign(private, msgs[i])
	}
	options := &voi.Options{Verify: voi.VerifyOptionsStdLib}
	sign = &op{name: "signature", do: func(i int) error { ed25519.Sign(private, msgs[i%len(msgs)]); return nil }}
	verify = &op{name: "verification", do: func(i int) error {
		if !voi.VerifyExpandedWithOptions(expanded, msgs[i%len(msgs)], signatures[i%len(msgs)], options) {
			return fmt.Errorf("signature of %d bytes refused", n)
		}
		return nil
	}}
	return sign, verify, nil
}
