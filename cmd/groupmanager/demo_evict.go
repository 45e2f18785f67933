package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/member"
)

// demoMember is a member as the Group Manager has it.
type demoMember struct {
	Device    string `json:"device"`
	Node      string `json:"node"`
	SenderID  string `json:"sender_id"`
	Confirmed bool   `json:"confirmed"`
}

// members asks the Group Manager.
func (d *demo) members(ctx context.Context) ([]demoMember, error) {
	list, err := d.client.Members(ctx, demoGroup)
	if err != nil {
		return nil, err
	}
	var out []demoMember
	for _, m := range list {
		out = append(out, demoMember{m.Client, m.Node, fmt.Sprintf("%x", []byte(m.SenderID)), m.Confirmed})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Device < out[j].Device })
	return out, nil
}

// evict lets the thief copy the lamp's keys, and then throws the lamp out.
func (d *demo) evict(ctx context.Context, s *step) error {
	g, err := d.of(stolenLamp)
	if err != nil {
		return err
	}
	keys, err := g.InsecureCopy()
	if err != nil {
		return err
	}
	// Credentials are public: the thief has those of all members.
	if err := d.addCredentials(keys.Credentials); err != nil {
		return err
	}
	if d.thief, err = d.newThief(keys); err != nil {
		return err
	}
	s.say("a thief has read the keys of %s (Sender ID %x) and listens to the group", stolenLamp, keys.Identity.SenderID)
	// While the lamp is a member its keys are good: the same copy must open
	// what it must not open afterwards.
	if err := d.thiefReads(ctx, s); err != nil {
		return err
	}
	list, err := d.members(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Device == stolenLamp {
			d.stolen = m
		}
	}
	before, err := d.client.Keys(ctx, demoGroup)
	if err != nil {
		return err
	}
	d.evictedAt = time.Now()
	if _, err := d.client.RevokeDevice(ctx, stolenLamp); err != nil {
		return err
	}
	s.show("evicted", d.stolen, "device revoke %s: no token for it any more, and out of its groups", stolenLamp)
	after, err := d.client.Keys(ctx, demoGroup)
	if err != nil {
		return err
	}
	list, err = d.members(ctx)
	if err != nil {
		return err
	}
	s.show("members", list, "%d members are left", len(list))
	s.Detail["version_before"], s.Detail["version_after"] = before.Version, after.Version
	for _, m := range list {
		if m.Device == stolenLamp {
			return fmt.Errorf("%s is still a member", stolenLamp)
		}
	}
	if after.Version <= before.Version || string(after.Gid) == string(before.Gid) {
		return errors.New("the group has no new keys")
	}
	return d.noteGid(after)
}

// thiefReads shows that the stolen keys are good before the eviction: they open
// a group request, and the lamps answer a request under them. The checks
// afterwards mean something only then.
func (d *demo) thiefReads(ctx context.Context, s *step) error {
	if _, err := d.ask(ctx, s, []string{"lamp-1", "lamp-2", "lamp-3"}); err != nil {
		return err
	}
	t := d.thief.tally()
	s.show("thief_before", t, "the thief received %d group requests and read %d of them", t.Received, t.Opened)
	if t.Received == 0 || t.Opened != t.Received {
		return errors.New("the copy of the keys does not work, so it would prove nothing")
	}
	n, err := d.thief.request(ctx, d)
	if err != nil {
		return err
	}
	s.show("thief_answers_before", n, "its own request under the stolen keys got %d answers", n)
	if n == 0 {
		return errors.New("nobody answers the copy of the keys, so silence would prove nothing afterwards")
	}
	return nil
}

// confirmed waits until every member has shown to hold the newest keys.
func (d *demo) confirmed(ctx context.Context, want int) ([]demoMember, httpapi.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := d.members(ctx)
		if err != nil {
			return nil, httpapi.Keys{}, err
		}
		n := 0
		for _, m := range list {
			if m.Confirmed {
				n++
			}
		}
		if n == want && len(list) == want {
			k, err := d.client.Keys(ctx, demoGroup)
			return list, k, err
		}
		select {
		case <-ctx.Done():
			return list, httpapi.Keys{}, fmt.Errorf("%d of %d members confirmed the new keys: %w", n, want, ctx.Err())
		case <-tick.C:
		}
	}
}

// rekey shows that those who stayed have the new keys and use them.
func (d *demo) rekey(ctx context.Context, s *step) error {
	list, keys, err := d.confirmed(ctx, 3)
	if err != nil {
		return err
	}
	took := time.Since(d.evictedAt)
	s.Detail["members"], s.Detail["cause"] = list, keys.Cause
	s.show("key_version", keys.Version, "version %d, Gid %x, cause %s", keys.Version, []byte(keys.Gid), keys.Cause)
	s.show("confirmed_after_ms", took.Milliseconds(), "all 3 members confirmed it with a verified answer %d ms after the eviction", took.Milliseconds())
	answers, err := d.ask(ctx, s, []string{"lamp-1", "lamp-2"})
	s.Detail["answers"] = answers
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Version != keys.Version {
			return fmt.Errorf("%s answered under version %d", a.From, a.Version)
		}
	}
	return nil
}

// evictedCannotRead shows what the stolen keys are worth now.
func (d *demo) evictedCannotRead(ctx context.Context, s *step) error {
	before := d.thief.tally()
	if _, err := d.ask(ctx, s, []string{"lamp-1", "lamp-2"}); err != nil {
		return err
	}
	t := d.thief.tally()
	s.show("thief", t, "the thief received %d more group requests and read none: %d under an unknown Gid, and the old Master Secret under the new Gid failed %d times",
		t.Received-t.ReceivedWhileMember, t.UnknownGid, t.WrongSecret)
	switch {
	case t.Received == before.Received:
		return errors.New("the thief received nothing, so this proves nothing")
	case t.Opened != t.ReceivedWhileMember:
		return errors.New("the thief read a message of the time after the eviction")
	case t.WrongSecret != t.Received-t.ReceivedWhileMember || t.UnknownGid != t.WrongSecret:
		return errors.New("a message of the time after the eviction was not refused for the expected reason")
	}
	n, err := d.thief.request(ctx, d)
	if err != nil {
		return err
	}
	s.show("thief_answers", n, "its own request under the stolen keys got %d answers", n)
	if n != 0 {
		return errors.New("a member answered the thief")
	}
	return d.deviceRefused(ctx, s)
}

// deviceRefused has the evicted lamp itself try to come back.
func (d *demo) deviceRefused(ctx context.Context, s *step) error {
	lamp := d.devices[stolenLamp]
	if _, err := lamp.Group(demoGroup); !errors.Is(err, member.ErrNotMember) {
		return fmt.Errorf("%s was not told that it is out", stolenLamp)
	}
	s.show("told", true, "%s was told that it is out and has deleted its keys", stolenLamp)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := lamp.Join(ctx, member.JoinOptions{Group: demoGroup, Roles: ace.RoleResponder})
	if err == nil {
		return errors.New("the evicted lamp joined again")
	}
	if !errors.Is(err, member.ErrTokenRefused) && !errors.Is(err, member.ErrUnauthorised) {
		return fmt.Errorf("the evicted lamp was not refused but failed: %w", err)
	}
	s.show("join_refused", err.Error(), "its attempt to join again: %v", err)
	return nil
}
