package grouposcore

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

var bothModes = []Mode{GroupMode, PairwiseMode}

func TestUnprotectRequest(t *testing.T) {
	r := newRealm(t)
	for _, mode := range bothModes {
		ids := map[Mode]string{GroupMode: "GO-7.2-8,GO-7.2-12,GO-6-6", PairwiseMode: "GO-8-1,GO-8-5,GO-6-6"}[mode]
		t.Run(ids+" "+mode.String()+" request", func(t *testing.T) {
			in := get("light")
			in.Payload, in.Code = []byte("on"), codes.PUT
			m, _ := ask(t, r.at(t, "client", 7), in, mode, []byte{0x52})
			got, x, s := hear(t, r.at(t, "server", 0), m)
			path, _ := got.Options.Path()
			if got.Code != codes.PUT || path != "/light" || string(got.Payload) != "on" || coapmsg.Has(got.Options, coapmsg.OSCORE) {
				t.Fatalf("request is %v", &got)
			}
			if x.Mode() != mode || s.Mode != mode || s.Credential != r.ids["client"].Credential {
				t.Fatalf("sender is %+v", s)
			}
			wantBytes(t, "partial iv", s.PartialIV, []byte{7})
			wantBytes(t, "stored gid", x.Gid(), r.params.Gid)
			wantBytes(t, "stored kid", x.KID(), []byte{0x25})
		})
	}
	t.Run("GO-8-5 a pairwise request is for one member only", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 0), get("a"), PairwiseMode, []byte{0x52})
		_, _, _, err := r.at(t, "other", 0).UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-2-5,GO-7.2-2 one Recipient Context per sender heard, created on demand", func(t *testing.T) {
		s := r.at(t, "server", 0)
		for i, who := range []string{"client", "other", "client"} {
			m, _ := ask(t, r.at(t, who, uint64(i)), get("a"), GroupMode, nil)
			hear(t, s, m)
		}
		if n := s.Recipients(); n != 2 {
			t.Fatalf("%d recipient contexts", n)
		}
	})
	base, _ := ask(t, r.at(t, "client", 5), get("a"), GroupMode, nil)
	pair, _ := ask(t, r.at(t, "client", 6), get("a"), PairwiseMode, []byte{0x52})
	edit := func(m message.Message, f func(*coapmsg.OSCOREOption)) message.Message {
		o := option(t, m)
		f(&o)
		return reoption(m, o)
	}
	for name, x := range map[string]struct {
		m    message.Message
		want error
	}{
		"GO-3.2-3,GO-7-6 no kid":               {edit(base, func(o *coapmsg.OSCOREOption) { o.KID = nil }), ErrMalformed},
		"GO-3.2-3,GO-7-6 no kid context":       {edit(base, func(o *coapmsg.OSCOREOption) { o.KIDContext = nil }), ErrMalformed},
		"GO-3.2-3,GO-7-6 no Partial IV":        {edit(base, func(o *coapmsg.OSCOREOption) { o.PIV = nil }), ErrMalformed},
		"GO-3.2-3 pairwise without kid":        {edit(pair, func(o *coapmsg.OSCOREOption) { o.KID = nil }), ErrMalformed},
		"GO-3.2-3 pairwise without Gid":        {edit(pair, func(o *coapmsg.OSCOREOption) { o.KIDContext = nil }), ErrMalformed},
		"GO-3.2-3 pairwise without Partial IV": {edit(pair, func(o *coapmsg.OSCOREOption) { o.PIV = nil }), ErrMalformed},
		"GO-7.2-14 own kid":                    {edit(base, func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x52} }), ErrOwnSenderID},
		"GO-7.2-14,GO-8.4-3 own kid pairwise":  {edit(pair, func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x52} }), ErrOwnSenderID},
		"GO-7.2-3 unknown kid":                 {edit(base, func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x99} }), ErrNoCredential},
		"GO-7.2-1,GO-8.4-1 unknown Gid":        {edit(base, func(o *coapmsg.OSCOREOption) { o.KIDContext = []byte{1} }), ErrNoContext},
		"GO-14.7.2-1 kid of another member":    {edit(base, func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x77} }), ErrDecryption},
		"GO-14.7.2-1 other Partial IV":         {edit(base, func(o *coapmsg.OSCOREOption) { o.PIV = []byte{4} }), ErrDecryption},
		"GO-7.2-9 countersignature":            {flip(base, -1), ErrDecryption},
		"GO-7.2-9 ciphertext":                  {flip(base, 0), ErrDecryption},
		"GO-8-1 pairwise tag":                  {flip(pair, -1), ErrDecryption},
	} {
		t.Run(name, func(t *testing.T) {
			s := r.at(t, "server", 0)
			got, ex, _, err := s.UnprotectRequest(x.m)
			wantErr(t, err, x.want)
			if ex != nil || got.Payload != nil || got.Options != nil || s.Recipients() != 0 {
				t.Fatal("something was left behind")
			}
		})
	}
	t.Run("GO-4.1-5 payload of every length below countersignature, tag and code", func(t *testing.T) {
		s := r.at(t, "server", 0)
		for n := 1; n < 64+8+1; n++ {
			m := base
			m.Payload = base.Payload[:n]
			_, _, _, err := s.UnprotectRequest(m)
			wantErr(t, err, ErrDecryption)
		}
	})
	t.Run("GO-7-6 no OSCORE option, two of them, no payload", func(t *testing.T) {
		s := r.at(t, "server", 0)
		bare, twice, empty := base, base, base
		bare.Options = coapmsg.Without(base.Options, coapmsg.OSCORE)
		v, _ := coapmsg.FindOSCORE(base.Options)
		twice.Options = coapmsg.Insert(append(message.Options{}, base.Options...), message.Option{ID: coapmsg.OSCORE, Value: v})
		empty.Payload = nil
		for i, want := range []error{ErrNotProtected, ErrMalformed, ErrMalformed} {
			_, _, _, err := s.UnprotectRequest([]message.Message{bare, twice, empty}[i])
			wantErr(t, err, want)
		}
	})
	t.Run("GO-14.8-1 a cloned group with another Group Manager", func(t *testing.T) {
		clone := newRealm(t, func(p *Params) { p.GMCredential = []byte("another") })
		_, _, _, err := clone.at(t, "server", 0).UnprotectRequest(base)
		wantErr(t, err, ErrDecryption)
		_, _, _, err = clone.at(t, "server", 0).UnprotectRequest(pair)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-14.7.2-1 injected into another group with the same credentials", func(t *testing.T) {
		next := r.rekeyed(2)
		_, _, _, err := next.at(t, "server", 0).UnprotectRequest(edit(base, func(o *coapmsg.OSCOREOption) { o.KIDContext = next.params.Gid }))
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-2.2-3 a message is dropped while the credential is fetched, later ones are not", func(t *testing.T) {
		n := newRealm(t)
		n.creds.Set([]byte{0x25}, nil)
		s := n.at(t, "server", 0)
		_, _, _, err := s.UnprotectRequest(base)
		wantErr(t, err, ErrNoCredential)
		n.creds.Set([]byte{0x25}, n.ids["client"].Credential)
		hear(t, s, base)
	})
	t.Run("GO-2.1.7-4 AES-CTR has a bound, and what is longer is refused", func(t *testing.T) {
		n := newRealm(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		c, s := n.at(t, "client", 0), n.at(t, "server", 0)
		if c.encMax != 1<<36 {
			t.Fatalf("%d bytes", c.encMax)
		}
		long := get("a")
		long.Payload = make([]byte, 40)
		m, _ := ask(t, c, long, GroupMode, nil)
		c.encMax, s.encMax = 40, 40 // stands in for what no memory holds
		_, _, err := c.ProtectRequest(long, GroupMode.request(nil))
		wantErr(t, err, ErrTooLong)
		_, _, _, err = s.UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-2.6.3-1 the credential identifies, not the kid", func(t *testing.T) {
		n := newRealm(t)
		s := n.at(t, "server", 0)
		c := n.at(t, "client", 0)
		m, _ := ask(t, c, get("a"), GroupMode, nil)
		_, _, a := hear(t, s, m)
		m, _ = ask(t, n.renew(t, c, "client", 0x26), get("a"), GroupMode, nil)
		_, _, b := hear(t, s, m)
		if bytes.Equal(a.ID, b.ID) || !a.Credential.Equal(b.Credential) {
			t.Fatalf("%+v, %+v", a, b)
		}
	})
	t.Run("a plaintext that is a response is refused", func(t *testing.T) {
		c := r.at(t, "client", 0)
		m, x := ask(t, c, get("a"), GroupMode, nil)
		m = forge(t, c, m, x, []byte{0x45})
		_, _, _, err := r.at(t, "server", 0).UnprotectRequest(m)
		wantErr(t, err, ErrMalformed)
	})
}

// forge gives a protected group mode request another plaintext, as its sender
// could: encrypted and countersigned anew.
func forge(t testing.TB, c *Context, m message.Message, x *Exchange, plain []byte) message.Message {
	t.Helper()
	e := &envelope{mode: GroupMode, request: true, req: x.req, genID: c.self.id, piv: x.req.piv}
	room := 64
	d := draft{option: make([]byte, 0, room), plain: append(make([]byte, 0, room+len(plain)+80), plain...)}
	out, err := c.seal(m, d, option(t, m), e, c.self.enc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refusing is a cipher that decrypts nothing and counts who asks.
type refusing struct {
	cipher.AEAD
	asked atomic.Int32
}

// refuse makes a context's decryptions in group mode fail, until undone.
func refuse(c *Context) (enc *refusing, undo func()) {
	good := c.groupCipher
	enc = new(refusing)
	c.groupCipher = func([]byte) (cipher.AEAD, error) { return enc, nil }
	return enc, func() { c.groupCipher = good }
}

func (r *refusing) Open(_, _, _, _ []byte) ([]byte, error) {
	r.asked.Add(1)
	return nil, errors.New("refused")
}

func TestOrderOfChecks(t *testing.T) {
	r := newRealm(t)
	m, _ := ask(t, r.at(t, "client", 5), get("a"), GroupMode, nil)
	warm := func(t *testing.T) *Context {
		s := r.at(t, "server", 0)
		first, _ := ask(t, r.at(t, "client", 1), get("a"), GroupMode, nil)
		hear(t, s, first)
		return s
	}
	t.Run("GO-7.2-6 the countersignature is verified before decryption", func(t *testing.T) {
		s := warm(t)
		enc, _ := refuse(s)
		_, _, _, err := s.UnprotectRequest(flip(m, -1))
		wantErr(t, err, ErrDecryption)
		if enc.asked.Load() != 0 || Cause(err) != "countersignature" {
			t.Fatalf("cause %q after %d decryptions", Cause(err), enc.asked.Load())
		}
	})
	t.Run("GO-7.2-17 valid countersignature, failed decryption: window unchanged, same error", func(t *testing.T) {
		s := warm(t)
		_, undo := refuse(s)
		_, _, _, err := s.UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
		if Cause(err) != "tag" {
			t.Fatalf("cause %q", Cause(err))
		}
		undo()
		hear(t, s, m)
	})
	t.Run("GO-7.2-9 bad countersignature leaves the window", func(t *testing.T) {
		s := warm(t)
		_, _, _, err := s.UnprotectRequest(flip(m, -1))
		wantErr(t, err, ErrDecryption)
		hear(t, s, m)
	})
	t.Run("GO-7.2-9 a far Partial IV that does not verify does not move the window", func(t *testing.T) {
		s := warm(t)
		o := option(t, m)
		o.PIV = unhex(t, "ffffffffff")
		_, _, _, err := s.UnprotectRequest(reoption(m, o))
		wantErr(t, err, ErrDecryption)
		hear(t, s, m)
	})
	t.Run("GO-7.2-11 all failures have one text", func(t *testing.T) {
		s := warm(t)
		_, _, _, sig := s.UnprotectRequest(flip(m, -1))
		refuse(s)
		_, _, _, tag := s.UnprotectRequest(m)
		short := m
		short.Payload = m.Payload[:3]
		_, _, _, length := s.UnprotectRequest(short)
		if sig.Error() != tag.Error() || tag.Error() != length.Error() {
			t.Fatalf("%v, %v, %v", sig, tag, length)
		}
		for _, err := range []error{sig, tag, length} {
			code, text, age, ok := ErrorResponse(err)
			if code != codes.BadRequest || text != "Decryption failed" || age != 0 || !ok {
				t.Fatalf("%v %q %d %v", code, text, age, ok)
			}
		}
	})
	t.Run("GO-10-5 with AES-CTR no additional data is passed", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		c := r.at(t, "client", 0)
		spy := &aadSpy{AEAD: c.self.enc}
		c.self.enc = spy
		m, _ := ask(t, c, get("a"), GroupMode, nil)
		if spy.aad != nil || spy.calls != 1 {
			t.Fatalf("additional data %x in %d calls", spy.aad, spy.calls)
		}
		hear(t, r.at(t, "server", 0), m)
	})
	t.Run("GO-7.2-7,GO-14.1.1-1 with AES-CTR a flipped ciphertext is refused by the countersignature", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		m, _ := ask(t, r.at(t, "client", 0), get("a"), GroupMode, nil)
		_, _, _, err := r.at(t, "server", 0).UnprotectRequest(flip(m, 0))
		wantErr(t, err, ErrDecryption)
	})
}

// aadSpy remembers additional data.
type aadSpy struct {
	cipher.AEAD
	aad   []byte
	calls int
}

func (s *aadSpy) Seal(dst, nonce, plain, aad []byte) []byte {
	s.aad, s.calls = bytes.Clone(aad), s.calls+1
	return s.AEAD.Seal(dst, nonce, plain, aad)
}

func TestRequestReplay(t *testing.T) {
	r := newRealm(t)
	at := func(t *testing.T, seq uint64, mode Mode) message.Message {
		m, _ := ask(t, r.at(t, "client", seq), get("a"), mode, []byte{0x52})
		return m
	}
	for _, mode := range bothModes {
		t.Run("GO-5.3-1 the same "+mode.String()+" request twice", func(t *testing.T) {
			s, m := r.at(t, "server", 0), at(t, 5, mode)
			hear(t, s, m)
			_, _, _, err := s.UnprotectRequest(m)
			wantErr(t, err, ErrReplay)
		})
	}
	t.Run("GO-2.5.3-1,GO-5.3-1 one window for both modes", func(t *testing.T) {
		s := r.at(t, "server", 0)
		hear(t, s, at(t, 5, GroupMode))
		_, _, _, err := s.UnprotectRequest(at(t, 5, PairwiseMode))
		wantErr(t, err, ErrReplay)
	})
	t.Run("GO-5.3-1 large jumps, and what lies inside and outside the window", func(t *testing.T) {
		s := r.at(t, "server", 0)
		hear(t, s, at(t, 3, GroupMode))
		hear(t, s, at(t, 1<<30, GroupMode))
		hear(t, s, at(t, 1<<30-31, GroupMode))
		_, _, _, err := s.UnprotectRequest(at(t, 1<<30-32, GroupMode))
		wantErr(t, err, ErrReplay)
	})
	t.Run("GO-5.3-1 a window per client", func(t *testing.T) {
		s := r.at(t, "server", 0)
		hear(t, s, at(t, 5, GroupMode))
		m, _ := ask(t, r.at(t, "other", 5), get("a"), GroupMode, nil)
		hear(t, s, m)
	})
	t.Run("GO-5.3-2 of many copies at once one is accepted", func(t *testing.T) {
		s, m := r.at(t, "server", 0), at(t, 5, GroupMode)
		var accepted, replayed atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				switch _, _, _, err := s.UnprotectRequest(m); {
				case err == nil:
					accepted.Add(1)
				case errors.Is(err, ErrReplay):
					replayed.Add(1)
				}
			})
		}
		wg.Wait()
		if accepted.Load() != 1 || replayed.Load() != 15 {
			t.Fatalf("%d accepted, %d replays", accepted.Load(), replayed.Load())
		}
	})
	t.Run("GO-14.12-1 a window of the size asked for", func(t *testing.T) {
		r.params.ReplayWindow = 2
		s := r.at(t, "server", 0)
		r.params.ReplayWindow = 0
		hear(t, s, at(t, 9, GroupMode))
		hear(t, s, at(t, 8, GroupMode))
		_, _, _, err := s.UnprotectRequest(at(t, 7, GroupMode))
		wantErr(t, err, ErrReplay)
	})
}

func TestErrorResponse(t *testing.T) {
	for name, x := range map[string]struct {
		err  error
		code codes.Code
		text string
		age  uint32
		ok   bool
	}{
		"GO-7.2-1,GO-8.4-1 no context":              {ErrNoContext, codes.Unauthorized, "Security context not found", 0, true},
		"GO-7.2-5 no credential":                    {ErrNoCredential, codes.ServiceUnavailable, "", 60, true},
		"GO-7.2-10,GO-7.2-11 verification":          {errSignature, codes.BadRequest, "Decryption failed", 0, true},
		"GO-8.4-1 pairwise mode":                    {&modeError{PairwiseMode}, codes.BadOption, "Pairwise mode not supported", 0, true},
		"GO-6-3 group mode":                         {&modeError{GroupMode}, 0, "", 0, false},
		"GO-7.2-14 own kid":                         {ErrOwnSenderID, 0, "", 0, false},
		"GO-9-1 invalid window: a protected answer": {ErrWindowInvalid, 0, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			code, text, age, ok := ErrorResponse(x.err)
			if code != x.code || text != x.text || age != x.age || ok != x.ok {
				t.Fatalf("%v %q %d %v", code, text, age, ok)
			}
		})
	}
}
