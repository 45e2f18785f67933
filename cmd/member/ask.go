package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/member"
)

// askFlags say whom to ask and how long to wait.
type askFlags struct {
	group, to string
	wait      time.Duration
	expect    int
	format    uint16
}

// method is a verb that asks.
type method struct {
	use, short string
	code       codes.Code
}

// The verbs that ask, each named for its CoAP method.
var methods = []method{
	{"get PATH", "Ask the whole group, or one member, for a resource", codes.GET},
	{"fetch PATH TEXT", "Ask the whole group, or one member, for a part of a resource", coapmsg.FETCH},
	{"put PATH TEXT", "Set a resource of the whole group, or of one member", codes.PUT},
	{"post PATH TEXT", "Have a resource of the whole group, or of one member, process a text", codes.POST},
	{"delete PATH", "Delete a resource of the whole group, or of one member", codes.DELETE},
}

func (a *app) askCmds() (list []*cobra.Command) {
	for _, m := range methods {
		list = append(list, a.askCmd(m))
	}
	return list
}

func (a *app) askCmd(m method) *cobra.Command {
	var q askFlags
	payload := strings.Contains(m.use, "TEXT")
	cmd := cli.Verb(m.use, m.short, func(ctx context.Context, args []string, _ *pflag.FlagSet) error {
		r := member.Request{Code: m.code}
		var query string
		r.Path, query, _ = strings.Cut(args[0], "?")
		if query != "" {
			r.Query = strings.Split(query, "&")
		}
		if payload {
			r.Payload = []byte(args[1])
			r.Options = message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(q.format))}}
		}
		return a.ask(ctx, &q, r)
	})
	cmd.Long = m.short + ".\n\nPATH is as /light or /log?last=10. A whole group answers within its leisure, 5 s unless it was told otherwise."
	fs := cmd.Flags()
	fs.StringVarP(&q.group, "group", "g", "", "`name` of the group")
	fs.StringVar(&q.to, "to", "", "`peer` to ask alone, in pairwise mode: a device name, or NAME@ADDRESS:PORT")
	fs.DurationVar(&q.wait, "wait", 8*time.Second, "how long to collect answers")
	fs.IntVar(&q.expect, "expect", 0, "stop after so many answers, and fail with exit code 3 if fewer came; 0: collect all the time, fail if none came")
	if payload {
		fs.Uint16Var(&q.format, "content-format", 0, "Content-Format `number` of TEXT; 0 is text/plain")
	}
	a.format.Flag(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (q *askFlags) check() error {
	switch {
	case q.group == "":
		return cli.Fail(cli.ExitUsage, "give --group NAME", "no group named")
	case q.wait <= 0:
		return cli.Fail(cli.ExitUsage, "as --wait 8s", "--wait %v is no time to wait", q.wait)
	case q.expect < 0:
		return cli.Fail(cli.ExitUsage, "as --expect 3", "--expect %d is no number of answers", q.expect)
	}
	return nil
}

// reaches checks that a request to the whole group has somewhere to go.
func (q *askFlags) reaches(g *member.Group) error {
	if q.to == "" && !g.Status().Address.IsValid() {
		return cli.Fail(cli.ExitUsage, "ask one member with --to NAME@ADDRESS:PORT, or leave the group and join it with --address",
			"group %s was joined without a multicast address", q.group)
	}
	return nil
}

func (a *app) ask(ctx context.Context, q *askFlags, r member.Request) error {
	if err := errors.Join(a.format.Check(), q.check()); err != nil {
		return err
	}
	return a.device(ctx, nil, nil, func(ctx context.Context, d *member.Device) error {
		g, err := d.Group(q.group)
		if err == nil {
			err = q.reaches(g)
		}
		if err != nil {
			return err
		}
		// The process that used the device before may have missed a rekeying.
		if err := a.checkFirst(ctx, g); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, q.wait)
		defer cancel()
		if q.to != "" {
			one, err := askOne(ctx, g, q.to, r)
			if err != nil {
				return err
			}
			return a.showAnswers([]answerInfo{describe(one)}, 1)
		}
		answers := []answerInfo{}
		for one, err := range g.Request(ctx, r) {
			if err != nil {
				return err
			}
			answers = append(answers, describe(one))
			if q.expect > 0 && len(answers) >= q.expect {
				break
			}
		}
		return a.showAnswers(answers, max(q.expect, 1))
	})
}

// findPeer finds the member that --to names.
func findPeer(ctx context.Context, g *member.Group, to string) (member.Peer, error) {
	name, addr, hasAddr := strings.Cut(to, "@")
	p, err := g.FindPeer(name)
	if errors.Is(err, member.ErrUnknownPeer) { // perhaps it joined later
		if err := g.UpdatePeers(ctx); err != nil {
			return p, err
		}
		p, err = g.FindPeer(name)
	}
	if err == nil && hasAddr {
		if p.Addr, err = netip.ParseAddrPort(addr); err != nil {
			return p, cli.Fail(cli.ExitUsage, "as --to lamp-1@192.0.2.7:5683", "--to: %w", err)
		}
	}
	return p, err
}

// askOne asks the member that --to names.
func askOne(ctx context.Context, g *member.Group, to string, r member.Request) (*member.Answer, error) {
	p, err := findPeer(ctx, g, to)
	if err != nil {
		return nil, err
	}
	one, err := g.Unicast(ctx, p, r)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, endpoint.ErrTimeout) || errors.Is(err, endpoint.ErrNoResponse) {
		return nil, cli.Fail(cli.ExitPartial, "give --wait more time, or check that the member serves", "no answer of %s at %s: %w", p.Name, p.Addr, err)
	}
	return one, err
}

// answerInfo is one answer as it is printed.
type answerInfo struct {
	From       peerInfo `json:"from"`
	Mode       string   `json:"mode"`
	Code       string   `json:"code"`
	Payload    string   `json:"payload"` // text, with what is not printable replaced
	PayloadHex string   `json:"payload_hex"`
	Bytes      int      `json:"bytes"`
	Version    uint64   `json:"key_version"`
	AfterMS    int64    `json:"after_ms"`
}

func describe(r *member.Answer) answerInfo {
	i := answerInfo{
		From: describePeer(r.Sender), Mode: r.Mode.String(), Code: coapmsg.CodeString(r.Code),
		Payload: cli.Printable(strings.ToValidUTF8(string(r.Payload), "?")), PayloadHex: hex.EncodeToString(r.Payload),
		Bytes: r.Bytes, Version: r.Version, AfterMS: r.After.Milliseconds(),
	}
	return i
}

func (a *app) showAnswers(answers []answerInfo, expect int) error {
	v := struct {
		Answers []answerInfo `json:"answers"`
	}{answers}
	err := a.format.Show(v, func(t *cli.Table) {
		t.Row("FROM", "SENDER ID", "MODE", "CODE", "PAYLOAD", "BYTES", "KEY VERSION")
		for _, i := range answers {
			t.Row(i.From.Name, i.From.SenderID, i.Mode, i.Code, i.Payload, i.Bytes, i.Version)
		}
	})
	if err == nil && len(answers) < expect {
		err = cli.Fail(cli.ExitPartial, "give --wait more time, as members answer within their leisure of 5 s or more, or check that they serve", "%d of %d answers came", len(answers), expect)
	}
	return err
}

// checkTime is how long a request waits for the Group Manager: members talk
// without it as long as their keys are good.
const checkTime = 5 * time.Second

// checkFirst brings the keys up to date if the Group Manager can be reached,
// and otherwise says so and goes on with those that are there.
func (a *app) checkFirst(ctx context.Context, g *member.Group) error {
	short, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err := g.Check(short)
	unreachable := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, endpoint.ErrTimeout) ||
		errors.Is(err, endpoint.ErrNoResponse) || errors.Is(err, endpoint.ErrReset)
	if err == nil || ctx.Err() != nil || !unreachable || g.Status().Stale {
		return err
	}
	fmt.Fprintln(a.err, "member: the Group Manager does not answer; going on with the keys that are there")
	return nil
}
