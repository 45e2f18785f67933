package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"sort"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/member"
)

// answered is one verified answer as it is printed.
type answered struct {
	From     string `json:"from"`
	SenderID string `json:"sender_id"`
	Mode     string `json:"mode"`
	Verified bool   `json:"verified"`
	Code     string `json:"code"`
	Payload  string `json:"payload"`
	Bytes    int    `json:"bytes"`
	Version  uint64 `json:"key_version"`
	AfterMS  int64  `json:"after_ms"`
}

func answerOf(a *member.Answer) answered {
	return answered{
		From: a.Sender.Name, SenderID: hex.EncodeToString(a.Sender.SenderID), Mode: a.Mode.String(),
		Verified: true, // what does not verify is not yielded
		Code:     coapmsg.CodeString(a.Code), Payload: string(a.Payload), Bytes: a.Bytes, Version: a.Version, AfterMS: a.After.Milliseconds(),
	}
}

// ask sends one request of the switch to the whole group and returns the
// answers by sender, when all wanted ones are there or the time is over.
func (d *demo) ask(ctx context.Context, s *step, want []string) ([]answered, error) {
	g, err := d.of("switch")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	var answers []answered
	left := map[string]bool{}
	for _, name := range want {
		left[name] = true
	}
	for a, err := range d.groupAnswers(ctx, g, want) {
		if err != nil {
			return nil, err
		}
		one := answerOf(a)
		if !left[one.From] {
			return nil, fmt.Errorf("an answer of %q, which was not to answer, or answered twice", one.From)
		}
		delete(left, one.From)
		answers = append(answers, one)
		s.say("%s answered %s %q after %d ms: %s, Sender ID %s, key version %d, %d bytes",
			one.From, one.Code, one.Payload, one.AfterMS, verified(a.Mode), one.SenderID, one.Version, one.Bytes)
		if len(left) == 0 {
			break
		}
	}
	sort.Slice(answers, func(i, j int) bool { return answers[i].From < answers[j].From })
	if len(left) > 0 {
		return answers, fmt.Errorf("only %d of %d lamps answered", len(answers), len(want))
	}
	return answers, nil
}

func verified(m endpoint.Mode) string {
	if m == endpoint.PairwiseMode {
		return "pairwise key verified"
	}
	return "signature verified"
}

// groupAnswers uses multicast where it is to be had.
func (d *demo) groupAnswers(ctx context.Context, g *member.Group, want []string) iter.Seq2[*member.Answer, error] {
	r := member.Request{Code: codes.GET, Path: demoPath}
	if d.multicast {
		return g.Request(ctx, r)
	}
	if d.thief != nil {
		// Whoever listens gets a copy; no answer of it counts.
		short, cancel := context.WithTimeout(ctx, demoLeisure)
		defer cancel()
		for range g.Fanout(short, r, []netip.AddrPort{d.thief.conn.LocalAddr()}) {
			break
		}
	}
	var to []netip.AddrPort
	for _, name := range want {
		to = append(to, d.devices[name].Addr())
	}
	return g.Fanout(ctx, r, to)
}

// groupRequest shows the first exchange with the whole group.
func (d *demo) groupRequest(ctx context.Context, s *step) error {
	to := "each lamp"
	if d.multicast {
		to = d.group.String()
	}
	s.show("request", map[string]any{"method": "GET", "path": demoPath, "to": to, "mode": endpoint.GroupMode.String()},
		"GET %s to %s, signed by the switch", demoPath, to)
	answers, err := d.ask(ctx, s, []string{"lamp-1", "lamp-2", "lamp-3"})
	s.Detail["answers"] = answers
	if err != nil {
		return err
	}
	pairwise := 0
	for _, a := range answers {
		if a.Mode == endpoint.PairwiseMode.String() {
			pairwise++
		}
	}
	s.Detail["verified"], s.Detail["pairwise"] = len(answers), pairwise
	if pairwise != 1 {
		return fmt.Errorf("%d answers in pairwise mode, one lamp is configured for it", pairwise)
	}
	return nil
}

// pairwiseRequest shows an exchange that only two members can read.
func (d *demo) pairwiseRequest(ctx context.Context, s *step) error {
	g, err := d.of("switch")
	if err != nil {
		return err
	}
	p, err := g.FindPeer("lamp-1")
	if err != nil {
		return err
	}
	p.Addr = d.devices["lamp-1"].Addr()
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	a, err := g.Unicast(ctx, p, member.Request{Code: codes.PUT, Path: demoPath, Payload: []byte("on")})
	if err != nil {
		return err
	}
	one := answerOf(a)
	s.show("answer", one, "PUT %s=on to lamp-1: %s, %s, Sender ID %s, %d bytes", demoPath, one.Code, verified(a.Mode), one.SenderID, one.Bytes)
	states := map[string]string{}
	for _, name := range []string{"lamp-1", "lamp-2", "lamp-3"} {
		states[name] = d.devices[name].lamp.get()
	}
	s.show("lamps", states, "lamp-1 is %s, lamp-2 is %s, lamp-3 is %s", states["lamp-1"], states["lamp-2"], states["lamp-3"])
	if a.Code != codes.Changed || a.Mode != endpoint.PairwiseMode || one.From != "lamp-1" {
		return errors.New("not the answer of lamp-1 in pairwise mode")
	}
	if states["lamp-1"] != "on" || states["lamp-2"] != "off" || states["lamp-3"] != "off" {
		return errors.New("not lamp-1 alone was switched on")
	}
	return nil
}
