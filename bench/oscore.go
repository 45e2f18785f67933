package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/ccm"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// payloadSize is the length of every payload in bytes.
const payloadSize = 64

// request is a PUT to a short path, response its answer.
func request() message.Message {
	return message.Message{
		Code: codes.PUT, Token: []byte{1, 2}, Type: message.NonConfirmable, MessageID: 1,
		Options: message.Options{{ID: message.URIPath, Value: []byte("light")}}, Payload: make([]byte, payloadSize),
	}
}

func response() message.Message {
	return message.Message{Code: codes.Changed, Token: []byte{1, 2}, Type: message.NonConfirmable, MessageID: 2, Payload: make([]byte, payloadSize)}
}

// anyStore makes every reservation: stores are not measured here.
type anyStore struct{}

func (anyStore) Reserve(context.Context, uint64) error { return nil }

// numbers are sequence numbers for as long as the bench runs.
func numbers() (*oscore.Sequence, error) {
	s := oscore.NewSequence(0)
	return s, s.Reserve(context.Background(), anyStore{}, 1<<39)
}

func oscoreContext(senderID, recipientID []byte) (*oscore.Context, error) {
	seq, err := numbers()
	if err != nil {
		return nil, err
	}
	return oscore.NewContext(oscore.Params{
		MasterSecret: secret.Bytes("0123456789abcdef"), MasterSalt: secret.Bytes("saltsalt"),
		SenderID: senderID, RecipientID: recipientID,
	}, seq)
}

// aeadFloor are the bare encryption and decryption of a plaintext as long as
// that of a request, with additional data as long as OSCORE's.
func aeadFloor(aad int) (seal, open *op, err error) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		return nil, nil, err
	}
	var aead cipher.AEAD
	if aead, err = ccm.New(block, 8, 13); err != nil {
		return nil, nil, err
	}
	nonce, additional := make([]byte, 13), make([]byte, aad)
	plaintext := make([]byte, 1+1+len("light")+1+payloadSize)
	out := make([]byte, 0, len(plaintext)+8)
	sealed := aead.Seal(nil, nonce, plaintext, additional)
	seal = &op{name: "AES-CCM seal", do: func(int) error { aead.Seal(out, nonce, plaintext, additional); return nil }}
	open = &op{name: "AES-CCM open", do: func(int) error { _, err := aead.Open(out, nonce, sealed, additional); return err }}
	return seal, open, nil
}

// oscoreSuite measures RFC 8613 against bare AES-CCM.
func oscoreSuite(m *meter) ([]figure, error) {
	client, err := oscoreContext([]byte{0}, []byte{1})
	if err != nil {
		return nil, err
	}
	server, err := oscoreContext([]byte{1}, []byte{0})
	if err != nil {
		return nil, err
	}
	seal, open, err := aeadFloor(21)
	if err != nil {
		return nil, err
	}
	req, resp := request(), response()
	var in []message.Message
	var cx, sx []*oscore.Exchange
	requests := func(n int) error {
		in, cx = in[:0], cx[:0]
		for range n {
			p, x, err := client.ProtectRequest(req, oscore.RequestOptions{})
			if err != nil {
				return err
			}
			in, cx = append(in, p), append(cx, x)
		}
		return nil
	}
	received := func(n int) error {
		if err := requests(n); err != nil {
			return err
		}
		sx = sx[:0]
		for _, p := range in {
			_, x, err := server.UnprotectRequest(p)
			if err != nil {
				return err
			}
			sx = append(sx, x)
		}
		return nil
	}
	responses := func(n int) error {
		if err := received(n); err != nil {
			return err
		}
		for i, x := range sx {
			p, err := server.ProtectResponse(resp, x, oscore.ResponseOptions{})
			if err != nil {
				return err
			}
			in[i] = p
		}
		return nil
	}
	ops := []*op{
		{name: "OSCORE protect request", do: func(int) error {
			_, _, err := client.ProtectRequest(req, oscore.RequestOptions{})
			return err
		}},
		{name: "OSCORE unprotect request", make: requests, do: func(i int) error {
			_, _, err := server.UnprotectRequest(in[i])
			return err
		}},
		{name: "OSCORE protect response", make: received, do: func(i int) error {
			_, err := server.ProtectResponse(resp, sx[i], oscore.ResponseOptions{})
			return err
		}},
		{name: "OSCORE unprotect response", make: responses, do: func(i int) error {
			_, err := client.UnprotectResponse(in[i], cx[i])
			return err
		}},
	}
	return timeAndAllocations(m, ops, seal, open, 1000, 2)
}

// timeAndAllocations measures four operations, protect and unprotect by turns,
// beside their floors.
func timeAndAllocations(m *meter, ops []*op, seal, open *op, nanoseconds, allocations float64) ([]figure, error) {
	if err := m.time(append([]*op{seal, open}, ops...)...); err != nil {
		return nil, err
	}
	var figures []figure
	for i, o := range ops {
		floor := seal
		if i%2 == 1 {
			floor = open
		}
		n, err := o.allocations()
		if err != nil {
			return nil, err
		}
		figures = append(figures,
			atMost(o.name, o.fastest, floor.fastest, "ns", nanoseconds),
			count(o.name, n, "allocations", allocations))
	}
	return figures, nil
}
