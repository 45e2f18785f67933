package endpoint

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"pgregory.net/rapid"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// peerOf draws a stranger or a known peer.
func peerOf(t *rapid.T) any {
	n := rapid.IntRange(0, 5).Draw(t, "peer")
	if n < 3 {
		return remote{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), uint16(rapid.IntRange(1, 3).Draw(t, "port")))}
	}
	return identity{id: string(rune('a' + n))}
}

// Whatever is sent in blocks, and in whatever order: the rooms hold no more than
// they may, in all and of each peer, their books are right, and a body that is
// put together is the one that was sent.
func TestTransfersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clk := clock.NewFake(time.Unix(1e9, 0))
		cfg := Config{BlockBytes: 64 << 10, MaxBody: 6 << 10, Clock: clk}.withDefaults()
		tr := newTransfers(&cfg)
		type key struct {
			who any
			tag byte
		}
		sent := map[key][]byte{} // what was accepted of each body so far
		t.Repeat(map[string]func(*rapid.T){
			"block": func(t *rapid.T) {
				k := key{peerOf(t), rapid.Byte().Draw(t, "tag") % 4}
				have := sent[k]
				b := block{num: uint32(len(have) / 64), szx: 2, more: rapid.IntRange(0, 9).Draw(t, "more") > 0}
				switch rapid.IntRange(0, 5).Draw(t, "kind") {
				case 0:
					b.num = 0
				case 1:
					b.num = uint32(rapid.IntRange(0, 100).Draw(t, "num"))
				}
				part := rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "bytes")
				m := message.Message{Code: codes.PUT, Payload: part, Options: message.Options{{ID: coapmsg.RequestTag, Value: []byte{k.tag}}}}
				body, code := tr.receive(transferKey{receiving, k.who, requestHash(m)}, m, b, cfg.MaxBody)
				switch {
				case code == codes.Continue && b.num == 0:
					sent[k] = part
				case code == codes.Continue && b.offset() == len(have):
					sent[k] = append(have[:len(have):len(have)], part...)
				case code == 0 && b.num > 0:
					if want := append(have[:len(have):len(have)], part...); string(body) != string(want) {
						t.Fatalf("%d bytes instead of %d", len(body), len(want))
					}
					delete(sent, k)
				case code == 0:
					delete(sent, k)
				}
			},
			"keep": func(t *rapid.T) {
				m := message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte{rapid.Byte().Draw(t, "path")}}}}
				tr.keep(transferKey{handingOut, peerOf(t), requestHash(m)}, codes.Content, nil, make([]byte, rapid.IntRange(0, 20<<10).Draw(t, "size")), nil)
			},
			"time": func(t *rapid.T) {
				clk.Advance(time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				for _, r := range []*room{&tr.verified, &tr.plain} {
					bytes, peers := 0, map[any]int{}
					for el := r.order.Front(); el != nil; el = el.Next() {
						x := el.Value.(*transfer)
						if r.index[x.key] != el {
							t.Fatal("not indexed")
						}
						bytes += x.cost
						peers[accounted(x.key.who)] += x.cost
						if x.cost < cap(x.body) {
							t.Fatalf("%d bytes cost %d", cap(x.body), x.cost)
						}
					}
					if bytes != r.bytes || bytes > r.limit || len(r.index) != r.order.Len() || len(peers) != len(r.peers) {
						t.Fatalf("%d bytes, %d noted, limit %d", bytes, r.bytes, r.limit)
					}
					for who, n := range peers {
						if n != r.peers[who] || n > r.perPeer {
							t.Fatalf("%d bytes of %v, %d noted, limit %d", n, who, r.peers[who], r.perPeer)
						}
					}
				}
			},
		})
	})
}

func TestBlockOption(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := block{num: rapid.Uint32Range(0, maxBlockNum).Draw(t, "num"), more: rapid.Bool().Draw(t, "more"), szx: rapid.Uint8Range(0, 7).Draw(t, "szx")}
		o := b.option(message.Block2)
		got, ok := parseBlock(o.Value)
		if !ok || got != b || len(o.Value) > 3 {
			t.Fatalf("%+v becomes %x becomes %+v", b, o.Value, got)
		}
	})
	if _, ok := parseBlock(make([]byte, 4)); ok {
		t.Fatal("four bytes are accepted")
	}
}
