package main

import (
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
)

// pairwiseSuite measures the pairwise mode of Group OSCORE against bare
// AES-CCM, between two members that have heard each other.
func pairwiseSuite(m *meter) ([]figure, error) {
	g, err := newGroup()
	if err != nil {
		return nil, err
	}
	client, self, err := g.member([]byte{1})
	if err != nil {
		return nil, err
	}
	server, _, err := g.member([]byte{2})
	if err != nil {
		return nil, err
	}
	req, resp := request(), response()
	protected, _, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{2}})
	if err != nil {
		return nil, err
	}
	external, err := externalAAD(&g.params, self.Credential.Bytes(), protected)
	if err != nil {
		return nil, err
	}
	seal, open, err := aeadFloor(len(cose.AppendEncStructure(nil, nil, external)))
	if err != nil {
		return nil, err
	}
	var in []message.Message
	var cx, sx []*grouposcore.Exchange
	requests := func(n int) error {
		in, cx = in[:0], cx[:0]
		for range n {
			p, x, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{2}})
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
			_, x, _, err := server.UnprotectRequest(p)
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
			p, err := server.ProtectResponse(resp, x, grouposcore.ResponseOptions{Mode: grouposcore.PairwiseMode})
			if err != nil {
				return err
			}
			in[i] = p
		}
		return nil
	}
	ops := []*op{
		{name: "Group pairwise protect request", do: func(int) error {
			_, _, err := client.ProtectRequest(req, grouposcore.RequestOptions{Mode: grouposcore.PairwiseMode, To: []byte{2}})
			return err
		}},
		{name: "Group pairwise unprotect request", make: requests, do: func(i int) error {
			_, _, _, err := server.UnprotectRequest(in[i])
			return err
		}},
		{name: "Group pairwise protect response", make: received, do: func(i int) error {
			_, err := server.ProtectResponse(resp, sx[i], grouposcore.ResponseOptions{Mode: grouposcore.PairwiseMode})
			return err
		}},
		{name: "Group pairwise unprotect response", make: responses, do: func(i int) error {
			_, _, err := client.UnprotectResponse(in[i], cx[i])
			return err
		}},
	}
	return timeAndAllocations(m, ops, seal, open, 1300, 2)
}
