package member_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/member"
)

// overhear collects what goes to and from one device, other than by the servers.
func (w *world) overhear(d *device) func() (list []message.Message) {
	var mu sync.Mutex
	var seen []message.Message
	w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
		if (p.Receiver == d.addr || p.To == w.group || p.From == d.addr) && p.Receiver != w.addr && p.From != w.addr {
			if m, err := coapmsg.ParseDatagram(p.Data); err == nil {
				mu.Lock()
				seen = append(seen, m)
				mu.Unlock()
			}
		}
		return netsim.Verdict{}
	})
	return func() []message.Message {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// checked counts the requests and responses whose signatures hold.
func checked(v *member.Verifier, list []message.Message) (requests, responses int, last error) {
	var asked *grouposcore.Checked
	for _, m := range list {
		var err error
		if m.Code < 32 {
			if x, _, rerr := v.Request(m); rerr == nil {
				asked = x
				requests++
			} else {
				err = rerr
			}
		} else if asked != nil {
			if _, err = v.Response(m, asked, nil); err == nil {
				responses++
			}
		}
		if err != nil {
			last = err
		}
	}
	return requests, responses, last
}

func TestVerifier(t *testing.T) {
	t.Run("KO-PAR-03,KG-IF-08 a gateway that is no member checks signatures, over rekeyings and new members", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			gw := w.device("gateway", ace.RoleVerifier)
			v, err := gw.Verifier(t.Context(), "hall")
			w.check(err)
			ears := w.overhear(l[0])
			sw.answers("hall", "lamp-1")
			if q, a, err := checked(v, ears()); q != 1 || a != 1 || err != nil {
				t.Errorf("%d requests, %d responses, %v", q, a, err)
			}
			// A bit of the signature.
			bad := ears()[0]
			bad.Payload = append([]byte{}, bad.Payload...)
			bad.Payload[len(bad.Payload)-1] ^= 1
			if _, _, err := v.Request(bad); !errors.Is(err, grouposcore.ErrDecryption) {
				t.Errorf("a flipped bit: %v", err)
			}

			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			l[0].await(member.EventRekeyed, 1)
			ears = w.overhear(l[0])
			sw.answers("hall", "lamp-1")
			if _, _, err := v.Request(ears()[0]); !errors.Is(err, grouposcore.ErrNoContext) {
				t.Errorf("under a later Gid: %v", err)
			}
			opt, err := coapmsg.ParseOSCOREOption(mustOption(t, ears()[0]))
			w.check(err)
			groups, err := gw.GroupsOfGids(t.Context(), opt.KIDContext, []byte("nobody's"))
			w.check(err)
			if len(groups) != 1 || groups[0].Name != "hall" || string(groups[0].Gid) != string(opt.KIDContext) {
				t.Errorf("groups of that Gid: %+v", groups)
			}
			w.check(v.Update(t.Context()))
			if q, a, err := checked(v, ears()); q != 1 || a != 1 || err != nil || v.Version() != w.version("hall") {
				t.Errorf("after an update: %d requests, %d responses, %v", q, a, err)
			}
		})
	})
	t.Run("KG-GET-06 whoever has no right to it gets nothing", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			if _, err := sw.Verifier(t.Context(), "hall"); !errors.Is(err, member.ErrAlreadyMember) {
				t.Errorf("a member: %v", err)
			}
			if _, err := w.device("d", responder).Verifier(t.Context(), "hall"); !errors.Is(err, member.ErrTokenRefused) {
				t.Errorf("without the role: %v", err)
			}
			gw := w.device("gateway", ace.RoleVerifier)
			w.newGroup("pairs", func(c *manager.GroupConfig) { c.Modes = manager.PairwiseOnly })
			var refused *member.Refused
			if _, err := gw.Verifier(t.Context(), "pairs"); !errors.As(err, &refused) {
				t.Errorf("a group without signatures: %v", err)
			}
			if groups, err := gw.GroupsOfGids(t.Context(), []byte("nobody's")); err != nil || len(groups) != 0 {
				t.Errorf("%v, %v", groups, err)
			}
		})
	})
}

func mustOption(t *testing.T, m message.Message) []byte {
	t.Helper()
	v, ok := coapmsg.Get(m.Options, coapmsg.OSCORE)
	if !ok {
		t.Fatal("no OSCORE option")
	}
	return v
}
