package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// lamp is a device with a socket, a key pair and an association, and not much
// else: it must cost little beside what is measured.
type lamp struct {
	name    string
	conn    *net.UDPConn
	key     *cose.PrivateKey
	cred    *cose.Credential
	gm      atomic.Pointer[oscore.Context]
	ns      []byte
	mid     uint16
	answers chan message.Message
}

// newLamp makes the i-th device, with a loopback network of its own.
func newLamp(server netip.AddrPort, i int) (*lamp, error) {
	name := fmt.Sprintf("lamp-%d", i)
	own := &net.UDPAddr{IP: net.IPv4(127, byte(1+i%250), byte(i/250), 1)}
	conn, err := net.DialUDP("udp", own, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	l := &lamp{name: name, conn: conn, answers: make(chan message.Message, 4), mid: uint16(binary.BigEndian.Uint16(random(2)))}
	if l.key, err = cose.GenerateKey(cose.CurveEd25519, rand.Reader); err != nil {
		return nil, err
	}
	if l.cred, err = cose.NewCCS(name, l.key.Public()); err != nil {
		return nil, err
	}
	go l.read()
	return l, nil
}

// read takes answers, and rekeying messages, which it answers.
func (l *lamp) read() {
	buf := make([]byte, 4096)
	for {
		n, err := l.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		m, err := coapmsg.ParseDatagram(bytes.Clone(buf[:n]))
		switch {
		case err != nil || m.Code == codes.Empty:
		case coapmsg.IsRequest(m.Code):
			l.rekeyed(m)
		default:
			if m.Type == message.Confirmable {
				l.write(message.Message{Type: message.Acknowledgement, Code: codes.Empty, MessageID: m.MessageID})
			}
			select {
			case l.answers <- m:
			default:
			}
		}
	}
}

func (l *lamp) rekeyed(m message.Message) {
	c := l.gm.Load()
	if c == nil {
		return
	}
	_, x, err := c.UnprotectRequest(m)
	if err != nil {
		return
	}
	r, err := c.ProtectResponse(message.Message{Code: codes.Changed, Token: m.Token}, x, oscore.ResponseOptions{})
	if err != nil {
		return
	}
	r.Type, r.MessageID = message.Acknowledgement, m.MessageID
	l.write(r)
}

func (l *lamp) write(m message.Message) {
	if b, err := coapmsg.AppendDatagram(nil, m); err == nil {
		_, _ = l.conn.Write(b)
	}
}

// patience is how long an answer is awaited before the request is sent again,
// and how often that is done.
const (
	patience = time.Second
	attempts = 30
)

// ask makes one exchange; a device makes one at a time. It answers a challenge.
func (l *lamp) ask(code codes.Code, path string, format message.MediaType, body []byte, protected bool, more ...message.Option) (message.Message, error) {
	l.mid++
	m := message.Message{Code: code, Token: random(4), Payload: body, Type: message.Confirmable, MessageID: int32(l.mid)}
	var err error
	if m.Options, err = coapmsg.AppendPath(m.Options, message.URIPath, "/"+path); err != nil {
		return m, err
	}
	if body != nil {
		m.Options = coapmsg.Insert(m.Options, message.Option{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(format))})
	}
	for _, o := range more {
		m.Options = coapmsg.Insert(m.Options, o)
	}
	var x *oscore.Exchange
	if protected {
		if m, x, err = l.gm.Load().ProtectRequest(m, oscore.RequestOptions{}); err != nil {
			return m, err
		}
		m.Type, m.MessageID = message.Confirmable, int32(l.mid)
	}
	for range attempts {
		l.write(m)
		deadline := time.After(patience)
	waiting:
		for {
			select {
			case r := <-l.answers:
				if !bytes.Equal(r.Token, m.Token) {
					continue
				}
				if x != nil {
					inner, err := l.gm.Load().UnprotectResponse(r, x)
					if err != nil {
						continue // an error in clear is a hint: of a retransmission that overtook a slow answer
					}
					r = inner
				}
				if echo, ok := coapmsg.Get(r.Options, coapmsg.Echo); ok && r.Code == codes.Unauthorized && x != nil && len(more) == 0 {
					return l.ask(code, path, format, body, protected, message.Option{ID: coapmsg.Echo, Value: echo})
				}
				if !coapmsg.IsSuccess(r.Code) {
					return r, fmt.Errorf("%s: %s %q", path, coapmsg.CodeString(r.Code), r.Payload)
				}
				return r, nil
			case <-deadline:
				break waiting
			}
		}
	}
	return m, fmt.Errorf("%s: no answer", path)
}

// tooManyRequests is 4.29 (RFC 8516): the Group Manager takes so many tokens a second.
const tooManyRequests codes.Code = 4<<5 | 29

// associate posts a token and shows the key once.
func (l *lamp) associate(k ace.TokenKey, scope ace.Scope) error {
	cnf := &ace.Confirmation{OSC: &ace.OSCOREInputMaterial{ID: []byte(l.name), MasterSecret: secret.Hide(random(16))}}
	token, err := ace.SealToken(k, random(13), &ace.Claims{
		Issuer: "as", Subject: l.name, Audience: []string{benchAudience}, Expires: time.Now().Add(time.Hour), Scope: scope, Profile: ace.ProfileCoAPOSCORE, Cnf: cnf,
	})
	if err != nil {
		return err
	}
	n1, id1 := random(8), []byte{0xff}
	post := (&ace.AuthzInfoRequest{AccessToken: token, Nonce1: n1, RecipientID: id1}).Marshal()
	r, err := l.ask(codes.POST, "authz-info", ace.ContentFormatACE, post, false)
	for try := 0; err != nil && r.Code == tooManyRequests && try < 60; try++ {
		time.Sleep(time.Second)
		r, err = l.ask(codes.POST, "authz-info", ace.ContentFormatACE, post, false)
	}
	if err != nil {
		return err
	}
	info, err := ace.ParseAuthzInfoResponse(r.Payload)
	if err != nil {
		return err
	}
	p, err := cnf.OSC.ClientContext(n1, info.Nonce2, id1, info.RecipientID)
	if err != nil {
		return err
	}
	c, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		return err
	}
	l.gm.Store(c)
	l.ns = info.Challenge
	_, err = l.ask(codes.GET, ".well-known/core", 0, nil, true)
	return err
}

func (l *lamp) join(group string) error {
	q, err := joinRequest(group, l.key, l.cred, l.ns, "coap:///rekey")
	if err != nil {
		return err
	}
	_, err = l.ask(codes.POST, "ace-group/"+group, ace.ContentFormatGroupcomm, q, true)
	return err
}

// strangers are requests of those who have no business here. The Message ID is
// to be filled in.
func strangers(group string) ([][]byte, error) {
	key, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		return nil, err
	}
	cred, err := cose.NewCCS("stranger", key.Public())
	if err != nil {
		return nil, err
	}
	join, err := joinRequest(group, key, cred, random(8), "")
	if err != nil {
		return nil, err
	}
	path, err := coapmsg.AppendPath(nil, message.URIPath, "/ace-group/"+group)
	if err != nil {
		return nil, err
	}
	plain := message.Message{Type: message.NonConfirmable, Code: codes.POST, Token: random(4), Options: path, Payload: join}
	c, err := oscore.NewContext(oscore.Params{MasterSecret: random(16), SenderID: []byte{1, 2, 3}, RecipientID: []byte{9}}, oscore.NewEphemeralSequence())
	if err != nil {
		return nil, err
	}
	unknown, _, err := c.ProtectRequest(plain, oscore.RequestOptions{})
	if err != nil {
		return nil, err
	}
	unknown.Type = message.NonConfirmable
	info, err := coapmsg.AppendPath(nil, message.URIPath, "/authz-info")
	if err != nil {
		return nil, err
	}
	token := message.Message{Type: message.NonConfirmable, Code: codes.POST, Token: random(4), Options: info, Payload: (&ace.AuthzInfoRequest{
		AccessToken: random(120), Nonce1: random(8), RecipientID: []byte{1},
	}).Marshal()}
	var out [][]byte
	for _, m := range []message.Message{plain, unknown, token} {
		m.MessageID = 0
		b, err := coapmsg.AppendDatagram(nil, m)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return append(out, random(100)), nil
}
