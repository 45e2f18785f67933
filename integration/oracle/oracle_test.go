package oracle

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

var inputs = oscore.Params{MasterSecret: bytes.Repeat([]byte{7}, 16), MasterSalt: []byte{1}, SenderID: []byte{0xa}, RecipientID: []byte{0xb}}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair makes both ends of an association that start with these sequence numbers.
func pair(t *testing.T, device, server uint64) (d, s *oscore.Context) {
	t.Helper()
	other := inputs
	other.SenderID, other.RecipientID = inputs.RecipientID, inputs.SenderID
	out := make([]*oscore.Context, 2)
	for i, p := range []oscore.Params{inputs, other} {
		seq := oscore.NewEphemeralSequence()
		for range []uint64{device, server}[i] {
			_, err := seq.Next()
			must(t, err)
		}
		var err error
		out[i], err = oscore.NewContext(p, seq)
		must(t, err)
	}
	return out[0], out[1]
}

func ask(text string) message.Message {
	return message.Message{Code: codes.POST, Token: []byte(text), Payload: []byte(text), Type: message.Confirmable, MessageID: 1}
}

func wire(t *testing.T, m message.Message) []byte {
	t.Helper()
	if m.MessageID < 0 {
		m.Type, m.MessageID = message.NonConfirmable, 2
	}
	b, err := coapmsg.AppendDatagram(nil, m)
	must(t, err)
	return b
}

// exchange plays one request and its response and gives both datagrams.
func play(t *testing.T, d, s *oscore.Context, text, answer string) (req, resp []byte) {
	t.Helper()
	m, x, err := d.ProtectRequest(ask(text), oscore.RequestOptions{})
	must(t, err)
	_, sx, err := s.UnprotectRequest(m)
	must(t, err)
	r, err := s.ProtectResponse(message.Message{Code: codes.Content, Token: m.Token, Payload: []byte(answer), MessageID: -1}, sx, oscore.ResponseOptions{})
	must(t, err)
	_, err = d.UnprotectResponse(r, x)
	must(t, err)
	return wire(t, m), wire(t, r)
}

func look(t *testing.T, o *Oracle, from Direction, b []byte) *Opened {
	t.Helper()
	out, err := o.Look("link", from, b, "test")
	must(t, err)
	return out
}

func TestOracleOpens(t *testing.T) {
	d, s := pair(t, 0, 0)
	o := New()
	must(t, o.AddAssociation("lamp", inputs))
	req, resp := play(t, d, s, "hello", "world")
	q := look(t, o, FromDevice, req)
	if q.Who != "lamp" || q.Inner.Code != codes.POST || string(q.Inner.Payload) != "hello" || q.Again {
		t.Fatalf("%+v", q)
	}
	if r := look(t, o, FromServer, resp); r.Request != q || string(r.Inner.Payload) != "world" {
		t.Fatalf("%+v", r)
	}
	if q := look(t, o, FromDevice, req); !q.Again {
		t.Fatal("a retransmission is not known again")
	}
	if o.Len() != 2 {
		t.Fatal(o.Len())
	}
	req, resp = play(t, s, d, "rekey", "taken")
	if q := look(t, o, FromServer, req); string(q.Inner.Payload) != "rekey" {
		t.Fatalf("%+v", q)
	}
	if r := look(t, o, FromDevice, resp); string(r.Inner.Payload) != "taken" {
		t.Fatalf("%+v", r)
	}
	if out, err := o.Look("link", FromDevice, wire(t, ask("plain")), ""); out != nil || err != nil {
		t.Fatal("a plain message", out, err)
	}
}

func TestOracleFindsPlantedReuse(t *testing.T) {
	fresh := func() *Oracle {
		o := New()
		must(t, o.AddAssociation("lamp", inputs))
		return o
	}
	t.Run("of a request's sequence number", func(t *testing.T) {
		o := fresh()
		d, s := pair(t, 0, 0)
		req, _ := play(t, d, s, "one", "")
		look(t, o, FromDevice, req)
		d, s = pair(t, 0, 0) // a restart that forgot how far it was
		req, _ = play(t, d, s, "two", "")
		if _, err := o.Look("link", FromDevice, req, "later"); !errors.Is(err, ErrReuse) {
			t.Fatal(err)
		}
	})
	t.Run("of a request's nonce for a second response", func(t *testing.T) {
		o := fresh()
		d, s := pair(t, 0, 0)
		req, resp := play(t, d, s, "one", "first")
		look(t, o, FromDevice, req)
		look(t, o, FromServer, resp)
		m, err := coapmsg.ParseDatagram(req)
		must(t, err)
		_, s = pair(t, 0, 0) // a server that forgot its replay window and serves the request again
		_, sx, err := s.UnprotectRequest(m)
		must(t, err)
		r, err := s.ProtectResponse(message.Message{Code: codes.Content, Token: m.Token, Payload: []byte("second"), MessageID: -1}, sx, oscore.ResponseOptions{})
		must(t, err)
		if _, err := o.Look("link", FromServer, wire(t, r), "later"); !errors.Is(err, ErrReuse) {
			t.Fatal(err)
		}
	})
	t.Run("of a response's own Partial IV", func(t *testing.T) {
		o := fresh()
		for i, text := range []string{"first", "second"} {
			d, s := pair(t, uint64(i), 5)
			m, _, err := d.ProtectRequest(ask(text), oscore.RequestOptions{})
			must(t, err)
			_, sx, err := s.UnprotectRequest(m)
			must(t, err)
			r, err := s.ProtectResponse(message.Message{Code: codes.Content, Token: m.Token, Payload: []byte(text), MessageID: -1}, sx, oscore.ResponseOptions{PIV: true})
			must(t, err)
			look(t, o, FromDevice, wire(t, m))
			if _, err := o.Look("link", FromServer, wire(t, r), ""); (err != nil) != (i == 1) || i == 1 && !errors.Is(err, ErrReuse) {
				t.Fatal(i, err)
			}
		}
	})
	t.Run("what nobody's secret opens is no clean bill", func(t *testing.T) {
		d, s := pair(t, 0, 0)
		req, resp := play(t, d, s, "one", "")
		if _, err := New().Look("link", FromDevice, req, ""); !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
		if _, err := fresh().Look("link", FromServer, resp, ""); !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
	})
}

func TestOracleB2(t *testing.T) {
	other := inputs
	other.SenderID, other.RecipientID = inputs.RecipientID, inputs.SenderID
	c, err := oscore.NewB2Client(inputs, rand.Reader)
	must(t, err)
	s, err := oscore.NewB2Server(other, rand.Reader)
	must(t, err)
	o := New()
	o.AddB2("lamp", inputs)
	see := func(from Direction, m message.Message, want codes.Code) {
		t.Helper()
		if out := look(t, o, from, wire(t, m)); out.Inner.Code != want {
			t.Fatalf("%+v", out)
		}
	}
	m1, x1, err := c.Request1(ask("one"))
	must(t, err)
	see(FromDevice, m1, codes.POST)
	opened, err := s.Open(m1)
	must(t, err)
	see(FromServer, opened.Message, codes.Unauthorized)
	_, err = c.Response1(opened.Message, x1)
	must(t, err)
	m2, _, err := c.Request2(ask("two"))
	must(t, err)
	see(FromDevice, m2, codes.POST)
	opened, err = s.Open(m2)
	must(t, err)
	r2, err := opened.Context.ProtectResponse(message.Message{Code: codes.Created, Token: m2.Token, MessageID: -1}, opened.Exchange, oscore.ResponseOptions{})
	must(t, err)
	see(FromServer, r2, codes.Created)
}

// voice is a member of a group under a Sender ID, as if it had just been given it.
func voice(t *testing.T, p grouposcore.Params, id byte, creds *grouposcore.StaticCredentials) *grouposcore.Context {
	t.Helper()
	k, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	must(t, err)
	cred, err := cose.NewCCS("m", k.Public())
	must(t, err)
	creds.Set([]byte{id}, cred)
	c, err := grouposcore.NewContext(p, grouposcore.Identity{SenderID: []byte{id}, Credential: cred, PrivateKey: k}, oscore.NewEphemeralSequence(), creds)
	must(t, err)
	return c
}

func TestOracleGroup(t *testing.T) {
	p := grouposcore.Params{
		Gid: []byte{1, 2}, MasterSecret: bytes.Repeat([]byte{9}, 32), HKDF: cose.AlgHMAC256, AEAD: cose.AlgAESCCM16_64_128,
		KeyAgreement: cose.AlgECDHSSHKDF256, GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
		CredentialFormat: cose.FormatCCS, GMCredential: []byte("gm"),
	}
	creds := new(grouposcore.StaticCredentials)
	o := New()
	must(t, o.AddGroup("g1", p, creds))
	say := func(c *grouposcore.Context, text string) (*Opened, error) {
		m, _, err := c.ProtectRequest(ask(text), grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
		must(t, err)
		return o.Look("group", FromDevice, wire(t, m), text)
	}
	first := voice(t, p, 1, creds)
	if out, err := say(first, "one"); err != nil || string(out.Inner.Payload) != "one" || !out.Group {
		t.Fatal(out, err)
	}
	if _, err := say(voice(t, p, 2, creds), "two"); err != nil {
		t.Fatal(err)
	}
	if _, err := say(first, "three"); err != nil {
		t.Fatal(err)
	}
	t.Run("two members with one Sender ID", func(t *testing.T) {
		if _, err := say(voice(t, p, 1, creds), "four"); !errors.Is(err, ErrReuse) {
			t.Fatal(err)
		}
	})
	t.Run("two secrets under one Gid", func(t *testing.T) {
		must(t, o.AddGroup("again", p, creds))
		q := p
		q.MasterSecret = bytes.Repeat([]byte{8}, 32)
		if err := o.AddGroup("other", q, creds); !errors.Is(err, ErrReuse) {
			t.Fatal(err)
		}
	})
	t.Run("a Gid that comes back", func(t *testing.T) {
		o.ReassignedGids = true
		q := p
		q.MasterSecret = bytes.Repeat([]byte{8}, 32)
		must(t, o.AddGroup("other", q, creds))
		if _, err := say(voice(t, q, 1, creds), "five"); err != nil {
			t.Fatal("the key is another one:", err)
		}
		must(t, o.AddGroup("back", p, creds))
		if _, err := say(voice(t, p, 1, creds), "six"); !errors.Is(err, ErrReuse) {
			t.Fatal("what was said before is not forgotten:", err)
		}
	})
}
