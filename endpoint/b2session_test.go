package endpoint_test

import (
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/oscore"
)

func TestB2Session(t *testing.T) {
	// established makes a session that a server has established, and both of
	// these.
	established := func(t *testing.T) (*endpoint.B2Session, *oscore.B2Server) {
		t.Helper()
		params := oscore.Params{MasterSecret: []byte("0123456789abcdef"), SenderID: []byte("C"), RecipientID: []byte("S")}
		client, err := oscore.NewB2Client(params, nil)
		if err != nil {
			t.Fatal(err)
		}
		params.SenderID, params.RecipientID = params.RecipientID, params.SenderID
		server, err := oscore.NewB2Server(params, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := endpoint.NewB2Session(client)
		for _, want := range []error{endpoint.ErrAgain, nil} {
			m, opener := ask(t, s)
			if _, _, err := opener.OpenResponse(serve(t, server, m), time.Time{}); !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		return s, server
	}
	t.Run("a server that began anew ends it, once that is verified", func(t *testing.T) {
		s, server := established(t)
		m, opener := ask(t, s)
		server.Forget()
		if _, _, err := opener.OpenResponse(serve(t, server, m), time.Time{}); !errors.Is(err, endpoint.ErrAgain) {
			t.Fatal(err)
		}
		_, _, err := s.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{1}})
		if !errors.Is(err, endpoint.ErrGivenUp) || !s.Lost(nil, err) {
			t.Fatalf("asked under it again: %v", err)
		}
	})
	t.Run("a response 1 that anybody could have made does not", func(t *testing.T) {
		s, server := established(t)
		m, opener := ask(t, s)
		server.Forget()
		forged := serve(t, server, m)
		forged.Payload[0] ^= 1
		if _, _, err := opener.OpenResponse(forged, time.Time{}); err == nil || errors.Is(err, endpoint.ErrAgain) {
			t.Fatal(err)
		}
		if s.Over().Err() != nil {
			t.Fatal("given up")
		}
		ask(t, s)
	})
	t.Run("nor does an error in clear, or silence", func(t *testing.T) {
		s, _ := established(t)
		for _, err := range []error{&endpoint.UnprotectedError{Code: codes.Unauthorized}, &endpoint.UnprotectedError{Code: codes.BadRequest}, endpoint.ErrTimeout} {
			if s.Lost(nil, err) {
				t.Errorf("given up for %v", err)
			}
		}
	})
	t.Run("a refusal under it does", func(t *testing.T) {
		s, _ := established(t)
		if !s.Lost(&endpoint.Response{Code: codes.Unauthorized}, nil) || s.Lost(&endpoint.Response{Code: codes.Forbidden}, nil) {
			t.Fatal("4.01 under the context is what tells")
		}
	})
}

func ask(t *testing.T, p endpoint.Protector) (message.Message, endpoint.ResponseOpener) {
	t.Helper()
	m, opener, err := p.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	return m, opener
}

// serve answers a request: with a response #1, or with 2.05.
func serve(t *testing.T, server *oscore.B2Server, m message.Message) message.Message {
	t.Helper()
	o, err := server.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	if o.Context == nil {
		return o.Message
	}
	answer, err := o.Context.ProtectResponse(message.Message{Code: codes.Content, Token: []byte{1}}, o.Exchange, oscore.ResponseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
