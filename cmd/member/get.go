package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/member"
)

// askFlags say whom to ask and how long to wait.
type askFlags struct {
	group, to string
	wait      time.Duration
	expect    int
}

func (q *askFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&q.group, "group", "g", "", "`name` of the group")
	fs.StringVar(&q.to, "to", "", "`peer` to ask alone, in pairwise mode: a device name, or NAME@ADDRESS:PORT")
	fs.DurationVar(&q.wait, "wait", 3*time.Second, "how long to collect answers")
	fs.IntVar(&q.expect, "expect", 1, "stop after so many answers, and fail with exit code 3 if fewer came; 0: collect all the time")
}

// answerInfo is one answer as it is printed.
type answerInfo struct {
	From    peerInfo `json:"from"`
	Mode    string   `json:"mode"`
	Code    string   `json:"code"`
	Payload string   `json:"payload"` // text, with what is not printable replaced
	Bytes   int      `json:"bytes"`
	Version uint64   `json:"key_version"`
	AfterMS int64    `json:"after_ms"`
}

func (a *app) getCmd() *cobra.Command {
	var q askFlags
	cmd := cli.Verb("get PATH", "Ask the whole group, or one member, for a resource", func(ctx context.Context, args []string, _ *pflag.FlagSet) error {
		return a.ask(ctx, &q, member.Request{Code: codes.GET, Path: args[0]})
	})
	q.add(cmd.Flags())
	a.format.Flag(cmd)
	return cmd
}

func (a *app) putCmd() *cobra.Command {
	var q askFlags
	cmd := cli.Verb("put PATH TEXT", "Set a resource of the whole group, or of one member", func(ctx context.Context, args []string, _ *pflag.FlagSet) error {
		return a.ask(ctx, &q, member.Request{Code: codes.PUT, Path: args[0], Payload: []byte(args[1])})
	})
	q.add(cmd.Flags())
	a.format.Flag(cmd)
	return cmd
}

func (a *app) ask(ctx context.Context, q *askFlags, r member.Request) error {
	if err := a.format.Check(); err != nil {
		return err
	}
	if q.group == "" {
		return cli.Fail(cli.ExitUsage, "give --group NAME", "no group named")
	}
	return a.device(ctx, nil, nil, func(ctx context.Context, d *member.Device) error {
		g, err := d.Group(q.group)
		if err != nil {
			return err
		}
		// The process that used the device before may have missed a rekeying.
		if err := g.Check(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, q.wait)
		defer cancel()
		var answers []answerInfo
		if q.to != "" {
			one, err := askOne(ctx, g, q.to, r)
			if err != nil {
				return err
			}
			answers = append(answers, describe(one))
		} else {
			for one, err := range g.Request(ctx, r) {
				if err != nil {
					return err
				}
				answers = append(answers, describe(one))
				if q.expect > 0 && len(answers) >= q.expect {
					break
				}
			}
		}
		return a.showAnswers(answers, q.expect)
	})
}

func askOne(ctx context.Context, g *member.Group, to string, r member.Request) (*member.Answer, error) {
	name, addr, hasAddr := strings.Cut(to, "@")
	p, err := g.FindPeer(name)
	if err != nil {
		return nil, err
	}
	if hasAddr {
		if p.Addr, err = netip.ParseAddrPort(addr); err != nil {
			return nil, cli.Fail(cli.ExitUsage, "as --to lamp-1@192.0.2.7:5683", "--to: %w", err)
		}
	}
	return g.Unicast(ctx, p, r)
}

func (a *app) showAnswers(answers []answerInfo, expect int) error {
	v := struct {
		Answers []answerInfo `json:"answers"`
	}{answers}
	if answers == nil {
		v.Answers = []answerInfo{}
	}
	err := a.format.Show(v, func(t *cli.Table) {
		t.Row("FROM", "SENDER ID", "MODE", "CODE", "PAYLOAD", "BYTES", "KEY VERSION")
		for _, i := range answers {
			t.Row(i.From.Name, i.From.SenderID, i.Mode, i.Code, i.Payload, i.Bytes, i.Version)
		}
	})
	if err == nil && len(answers) < expect {
		err = cli.Fail(cli.ExitPartial, "give --wait more time, or check that the members serve", "%d of %d answers came", len(answers), expect)
	}
	return err
}

func describe(r *member.Answer) answerInfo {
	i := answerInfo{
		From: describePeer(r.Sender), Mode: r.Mode.String(), Code: coapmsg.CodeString(r.Code),
		Payload: cli.Printable(strings.ToValidUTF8(string(r.Payload), "?")),
		Bytes:   r.Bytes, Version: r.Version, AfterMS: r.After.Milliseconds(),
	}
	if i.From.SenderID == "" {
		i.From.SenderID = fmt.Sprintf("(%s)", hex.EncodeToString(r.Sender.SenderID))
	}
	return i
}
