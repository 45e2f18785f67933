package endpoint_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/internal/secret"
)

// groupPeer is a member without an endpoint.
type groupPeer struct {
	*raw
	g   *grouposcore.Group
	mid int32
}

// protected makes a request for the first lamp.
func (p *groupPeer) protected(typ message.Type, o grouposcore.RequestOptions, opts ...message.Option) (message.Message, *grouposcore.Exchange) {
	p.t.Helper()
	p.mid++
	m := message.Message{Type: typ, MessageID: p.mid, Token: message.Token{byte(p.mid)}, Code: codes.POST, Payload: []byte("on")}
	for _, opt := range append([]message.Option{{ID: message.URIPath, Value: []byte("light")}}, opts...) {
		m.Options = coapmsg.Insert(m.Options, opt)
	}
	out, x, err := p.g.ProtectRequest(m, o)
	if err != nil {
		p.t.Fatal(err)
	}
	return out, x
}

// ask sends a pairwise request to the first lamp and returns what it answers,
// and the Echo value in it.
func (p *groupPeer) ask(opts ...message.Option) (message.Message, message.Option) {
	p.t.Helper()
	m, x := p.protected(con, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte("s1")}, opts...)
	p.send(lampAddr(0), encode(p.t, m))
	in, _, err := p.g.UnprotectResponse(p.nextMessage(time.Second), x, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	v, _ := coapmsg.Get(in.Options, coapmsg.Echo)
	return in, message.Option{ID: coapmsg.Echo, Value: v}
}

// refused fails unless a request with these options is challenged.
func (p *groupPeer) refused(opts ...message.Option) message.Option {
	p.t.Helper()
	in, echo := p.ask(opts...)
	if in.Code != codes.Unauthorized || len(echo.Value) == 0 || len(in.Options) != 1 || len(in.Payload) != 0 {
		p.t.Fatalf("%+v", in)
	}
	return echo
}

func inFreshScene(t *testing.T, f func(t *testing.T, s *scene, c *groupPeer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, func(_ int, p *grouposcore.Params) { p.Freshness = grouposcore.RequireEcho })
		f(t, s, &groupPeer{listenRaw(t, s.net, otherAddr), s.fleet.member("d", nil, nil), 0})
	})
}

func TestGroupFreshness(t *testing.T) {
	t.Run("GO-9-6,GO-9-7,GO-9-8,GO-9-16,GO-9-18,GO-14.9-1 a client is challenged by all servers and answers each by unicast in pairwise mode", func(t *testing.T) {
		inFreshScene(t, func(t *testing.T, s *scene, _ *groupPeer) {
			multicasts := 0
			record(s.net, func(p netsim.Packet) netsim.Verdict {
				if p.To == groupAddr {
					multicasts++
				}
				return netsim.Verdict{}
			})
			got := collect(t, s.client, context.Background(), s.request("light"))
			for _, id := range []string{"s1", "s2", "s3"} {
				if r := got[id]; r == nil || r.Code != codes.Changed || r.Peer.Mode != endpoint.PairwiseMode {
					t.Fatalf("%s: %+v", id, r)
				}
			}
			if multicasts != 3 { // one datagram, which three received
				t.Fatalf("%d datagrams to the group", multicasts)
			}
			for id, r := range collect(t, s.client, context.Background(), s.request("light")) {
				if r.Peer.Mode != endpoint.GroupMode {
					t.Fatalf("%s challenged again", id)
				}
			}
		})
	})
	t.Run("GO-9-9,GO-9-11,GO-9-12 another value is not processed further, but challenged anew", func(t *testing.T) {
		inFreshScene(t, func(t *testing.T, s *scene, c *groupPeer) {
			echo := c.refused()
			forged := message.Option{ID: coapmsg.Echo, Value: bytes.Clone(echo.Value)}
			forged.Value[len(forged.Value)-1] ^= 1
			c.refused(forged)
			if in, _ := c.ask(echo); in.Code != codes.Changed {
				t.Fatalf("%+v", in)
			}
		})
	})
	t.Run("GO-9-3 no value twice", func(t *testing.T) {
		inFreshScene(t, func(t *testing.T, _ *scene, c *groupPeer) {
			seen := map[string]bool{}
			for range 20 {
				seen[string(c.refused().Value)] = true
			}
			if len(seen) != 20 {
				t.Fatalf("%d values", len(seen))
			}
		})
	})
	t.Run("GO-9-4 a value is of one kid and one Gid", func(t *testing.T) {
		inFreshScene(t, func(t *testing.T, s *scene, c *groupPeer) {
			echo := c.refused()
			other := &groupPeer{c.raw, s.fleet.member("e", nil, nil), 100} // from the same address
			other.refused(echo)
			if in, _ := c.ask(echo); in.Code != codes.Changed {
				t.Fatalf("%+v", in)
			}
		})
	})
	t.Run("GO-9-5 after a rekey no value of before is good", func(t *testing.T) {
		inFreshScene(t, func(t *testing.T, s *scene, c *groupPeer) {
			echo := c.refused()
			next := func(p *grouposcore.Params) {
				p.Gid, p.MasterSecret = []byte{0xdd, 0x12}, secret.Bytes("the next secret of the group")
			}
			s.groups[0].Install(s.fleet.member("s1", nil, func(p *grouposcore.Params) {
				next(p)
				p.Freshness = grouposcore.RequireEcho
			}).Current(), 0, time.Now())
			c.g.Install(s.fleet.member("d", nil, next).Current(), 0, time.Now())
			c.refused(echo)
			if in, _ := c.ask(c.refused()); in.Code != codes.Changed {
				t.Fatalf("%+v", in)
			}
		})
	})
	t.Run("GO-14.14-1 a silent server challenges nobody, and says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, func(_ int, p *grouposcore.Params) { p.WindowsLost, p.Freshness = true, grouposcore.Refuse })
			c := &groupPeer{listenRaw(t, s.net, otherAddr), s.fleet.member("d", nil, nil), 0}
			m, _ := c.protected(non, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
			c.send(groupAddr, encode(t, m))
			c.nothing(time.Minute)
		})
	})
}

func TestGroupRequestsOnTheWire(t *testing.T) {
	t.Run("GO-7-3 a group request is one Non-confirmable datagram", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			var sent [][]byte // as each of the three receives it
			record(s.net, func(p netsim.Packet) netsim.Verdict {
				if p.To == groupAddr {
					sent = append(sent, bytes.Clone(p.Data))
				}
				return netsim.Verdict{}
			})
			if got := collect(t, s.client, context.Background(), s.request("light")); len(got) != 3 {
				t.Fatal(len(got))
			}
			time.Sleep(5 * time.Minute)
			if len(sent) != 3 || !bytes.Equal(sent[0], sent[1]) || !bytes.Equal(sent[0], sent[2]) || message.Type(sent[0][0]>>4&3) != non {
				t.Fatalf("%x", sent)
			}
		})
	})
	t.Run("GO-7-5,GO-7-9 by unicast a Confirmable request is acknowledged, a Non-confirmable one gets a Non-confirmable response", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			c := &groupPeer{listenRaw(t, s.net, otherAddr), s.fleet.member("d", nil, nil), 0}
			for typ, want := range map[message.Type]message.Type{con: message.Acknowledgement, non: non} {
				m, x := c.protected(typ, grouposcore.RequestOptions{Mode: grouposcore.GroupMode, Unicast: true})
				c.send(lampAddr(0), encode(t, m))
				resp := c.nextMessage(time.Second)
				if resp.Type != want {
					t.Fatalf("%v", resp.Type)
				}
				if in, _, err := c.g.UnprotectResponse(resp, x, time.Now()); err != nil || in.Code != codes.Changed {
					t.Fatalf("%+v %v", in, err)
				}
			}
		})
	})
	t.Run("GO-7-7 a group request that does not verify is answered by nobody", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{}, endpoint.GroupOptions{}, nil)
			c := &groupPeer{listenRaw(t, s.net, otherAddr), s.fleet.member("d", nil, nil), 0}
			m, _ := c.protected(non, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
			bad := m
			bad.Payload = bytes.Clone(m.Payload)
			bad.Payload[0] ^= 1
			stranger := s.fleet.member("d", nil, func(p *grouposcore.Params) { p.Gid = []byte{9} })
			unknown, _, err := stranger.ProtectRequest(message.Message{Type: non, MessageID: 7, Token: message.Token{7}, Code: codes.GET}, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
			if err != nil {
				t.Fatal(err)
			}
			junk := m
			junk.Options = message.Options{{ID: coapmsg.OSCORE, Value: []byte{0xff}}}
			for _, m := range []message.Message{bad, unknown, junk} {
				m.MessageID++
				c.send(groupAddr, encode(t, m))
				c.nothing(time.Minute)
			}
			c.send(groupAddr, encode(t, m))
			c.send(groupAddr, encode(t, m)) // a copy
			answers := 0
			for c.next(time.Minute) != nil {
				answers++
			}
			if answers != 3 {
				t.Fatalf("%d answers to the one that verifies", answers)
			}
		})
	})
}
