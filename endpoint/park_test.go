package endpoint_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// slowCredentials knows a credential only once it was fetched.
type slowCredentials struct {
	mu    sync.Mutex
	known map[string]bool
	all   *grouposcore.StaticCredentials
}

func (c *slowCredentials) Credential(gid, id []byte) (*cose.Credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known[string(id)] {
		return nil, grouposcore.ErrNoCredential
	}
	return c.all.Credential(gid, id)
}

func TestUnknownCredential(t *testing.T) {
	// run has a server and a client that may lack each other's credential.
	run := func(t *testing.T, fetchable bool, f func(client *endpoint.Endpoint, r endpoint.Request, wanted *[]string, meters [2]*endpoint.Counters)) {
		synctest.Test(t, func(t *testing.T) {
			n, fl := netsim.New(netsim.Config{}), newFleet(t)
			var mu sync.Mutex
			var wanted []string
			var eps [2]*endpoint.Endpoint
			var groups [2]*grouposcore.Group
			var meters [2]*endpoint.Counters
			for i, id := range []string{"c", "s"} {
				src := &slowCredentials{known: map[string]bool{id: true}, all: fl.creds}
				groups[i] = fl.member(id, src, nil)
				ctxs := &endpoint.Contexts{}
				ctxs.AddGroup(groups[i], endpoint.GroupOptions{})
				meters[i] = &endpoint.Counters{}
				cfg := endpoint.Config{
					Network: n, Unicast: []netip.AddrPort{clientAddr, serverAddr}[i], Handler: lampHandler(id),
					Openers: []endpoint.RequestOpener{ctxs}, Meter: meters[i], ProbingRate: 1000,
					CredentialWanted: func(gid, sid []byte) {
						mu.Lock()
						wanted = append(wanted, id+" wants "+string(sid))
						mu.Unlock()
						if !bytes.Equal(gid, fl.params.Gid) || !fetchable {
							return
						}
						time.AfterFunc(time.Second, func() {
							src.mu.Lock()
							src.known[string(sid)] = true
							src.mu.Unlock()
							eps[i].CredentialReady(gid, sid)
						})
					},
				}
				if id == "s" {
					cfg.Groups = []endpoint.MulticastGroup{{Addr: groupAddr}}
				}
				eps[i] = start(t, cfg)
			}
			f(eps[0], endpoint.Request{To: groupAddr, Code: codes.GET, Path: "light", Security: endpoint.WithGroup(groups[0])}, &wanted, meters)
		})
	}
	t.Run("request and response wait until the credentials are there", func(t *testing.T) {
		run(t, true, func(client *endpoint.Endpoint, r endpoint.Request, wanted *[]string, _ [2]*endpoint.Counters) {
			ctx, cancel := within(10 * time.Second)
			defer cancel()
			if got := collect(t, client, ctx, r); got["s"] == nil {
				t.Fatal("no response")
			}
			if fmt.Sprint(*wanted) != "[s wants c c wants s]" {
				t.Fatal(*wanted)
			}
			if got := collect(t, client, context.Background(), r); got["s"] == nil || len(*wanted) != 2 {
				t.Fatal(*wanted)
			}
		})
	})
	t.Run("one that never comes is waited for 5 s, with bounded room and asked for once", func(t *testing.T) {
		run(t, false, func(client *endpoint.Endpoint, r endpoint.Request, wanted *[]string, meters [2]*endpoint.Counters) {
			for range 10 {
				ctx, cancel := within(10 * time.Millisecond)
				for _, err := range client.DoMulticast(ctx, r) {
					t.Error(err)
				}
				cancel()
			}
			if meters[1].Get(endpoint.DropNoCredential) != 2 || len(*wanted) != 1 {
				t.Fatal(meters[1].Get(endpoint.DropNoCredential), *wanted)
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if meters[1].Get(endpoint.DropNoCredential) != 10 {
				t.Fatal(meters[1].Get(endpoint.DropNoCredential))
			}
		})
	})
}
