package oscore_test

import (
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/oscore"
)

// store stands for a durable one.
type store struct{ mark uint64 }

func (s *store) Reserve(_ context.Context, upTo uint64) error { s.mark = upTo; return nil }

// A client protects a request and opens the response; the server is its
// mirror image. How the messages travel is up to the caller.
func Example() {
	secret := []byte("from a key exchange")
	disk := &store{} // survives restarts: begin at disk.mark
	seq := oscore.NewSequence(disk.mark)
	_ = seq.Reserve(context.Background(), disk, 1024)
	client, _ := oscore.NewContext(oscore.Params{MasterSecret: secret, SenderID: []byte{0}, RecipientID: []byte{1}}, seq)
	server, _ := oscore.NewContext(oscore.Params{MasterSecret: secret, SenderID: []byte{1}, RecipientID: []byte{0}}, oscore.NewEphemeralSequence())

	protected, exchange, _ := client.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{7}}, oscore.RequestOptions{})
	_, answering, _ := server.UnprotectRequest(protected)
	response, _ := server.ProtectResponse(message.Message{Code: codes.Content, Token: []byte{7}, Payload: []byte("21 °C")}, answering, oscore.ResponseOptions{})
	m, err := client.UnprotectResponse(response, exchange)
	fmt.Println(protected.Code, m.Code, string(m.Payload), err)
	// Output: POST Content 21 °C <nil>
}

// A device with nothing but a static secret agrees on a fresh context at each
// start (RFC 8613, Appendix B.2).
func ExampleNewB2Client() {
	secret := []byte("written into the device")
	client, _ := oscore.NewB2Client(oscore.Params{MasterSecret: secret, SenderID: []byte{0}, RecipientID: []byte{1}}, nil)
	server, _ := oscore.NewB2Server(oscore.Params{MasterSecret: secret, SenderID: []byte{1}, RecipientID: []byte{0}}, nil)

	get := message.Message{Code: codes.GET, Token: []byte{7}}
	request1, exchange1, _ := client.Request1(get)
	first, _ := server.Open(request1) // first.Context is nil: send first.Message
	_, _ = client.Response1(first.Message, exchange1)
	request2, exchange2, _ := client.Request2(get)
	second, _ := server.Open(request2) // second.Context is established: serve second.Message
	response2, _ := second.Context.ProtectResponse(message.Message{Code: codes.Content, Token: []byte{7}, Payload: []byte("hello")}, second.Exchange, oscore.ResponseOptions{})
	m, _, err := client.Response2(response2, exchange2)
	fmt.Println(first.Context == nil, string(m.Payload), err)
	// Output: true hello <nil>
}

// A server that lost its replay window in a crash goes on with the first
// request that is provably fresh (RFC 8613, Appendix B.1.2).
func ExampleContext_ConfirmFresh() {
	secret := []byte("from a key exchange")
	client, _ := oscore.NewContext(oscore.Params{MasterSecret: secret, SenderID: []byte{0}, RecipientID: []byte{1}}, oscore.NewEphemeralSequence())
	disk := &store{mark: 2048} // the server's own numbers go on where the crash left the mark
	seq := oscore.NewSequence(disk.mark)
	_ = seq.Reserve(context.Background(), disk, 1024)
	server, _ := oscore.NewContext(oscore.Params{MasterSecret: secret, SenderID: []byte{1}, RecipientID: []byte{0}}, seq)
	server.Invalidate()

	request, exchange, _ := client.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{7}}, oscore.RequestOptions{})
	_, answering, err := server.UnprotectRequest(request)
	fmt.Println(err)
	echo := message.Option{ID: 252, Value: []byte("drawn at random")}
	challenge, _ := server.ProtectResponse(message.Message{Code: codes.Unauthorized, Token: []byte{7}, Options: message.Options{echo}}, answering, oscore.ResponseOptions{})

	asked, _ := client.UnprotectResponse(challenge, exchange)
	request, _, _ = client.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{8}, Options: asked.Options}, oscore.RequestOptions{})
	fresh, answering, err := server.UnprotectRequest(request)
	fmt.Println(err, string(fresh.Options[0].Value))
	fmt.Println(server.ConfirmFresh(answering), server.WindowValid())
	// Output:
	// replay window is not valid
	// replay window is not valid drawn at random
	// <nil> true
}
