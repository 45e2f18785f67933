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

func TestServerForgetsTheRun(t *testing.T) {
	t.Run("OS-B.2-9 a request 2 that is answered with a response 1 is made again", func(t *testing.T) {
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
		established := 0
		protector := endpoint.WithB2(client, func(*oscore.Context) { established++ })
		for i, want := range []error{endpoint.ErrAgain, endpoint.ErrAgain, nil} {
			m, opener, err := protector.ProtectRequest(message.Message{Code: codes.GET, Token: []byte{1}})
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				server.Forget()
			}
			o, err := server.Open(m)
			if err != nil {
				t.Fatal(err)
			}
			answer := o.Message
			if o.Context != nil {
				answer, err = o.Context.ProtectResponse(message.Message{Code: codes.Content, Token: []byte{1}}, o.Exchange, oscore.ResponseOptions{})
				if err != nil {
					t.Fatal(err)
				}
			}
			inner, _, err := opener.OpenResponse(answer, time.Time{})
			if !errors.Is(err, want) || err == nil && inner.Code != codes.Content {
				t.Fatalf("step %d: %v %v", i, inner, err)
			}
		}
		if established != 1 {
			t.Fatalf("established %d times", established)
		}
	})
}
