package trl

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that wraps %q", err, want)
	}
}

// hash is the n-th token hash.
func hash(n byte) ace.TokenHash { return ace.HashToken([]byte{n}) }

// list is a Source for tests.
type list struct {
	full []ace.TokenHash
	c    Collection
	fail error
}

func (l *list) Full() ([]ace.TokenHash, error)   { return l.full, l.fail }
func (l *list) Collection() (*Collection, error) { return &l.c, l.fail }

// updates makes a list after n updates, each of which revokes one token.
func updates(s Support, n int) *list {
	l := &list{}
	for i := range n {
		l.full = append(l.full, hash(byte(i)))
		l.c.Add(s, Entry{Added: []ace.TokenHash{hash(byte(i))}})
	}
	return l
}

// small supports everything, in small numbers.
func small() Support { return Support{Diff: true, MaxN: 5, Cursor: true, Batch: 2, Index: 99} }

func answer(t *testing.T, s Support, l *list, options ...string) *Response {
	t.Helper()
	p, err := Answer(s, options, l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refused(t *testing.T, s Support, l *list, options ...string) *Problem {
	t.Helper()
	p, err := Answer(s, options, l)
	var bad *Problem
	if p != nil || !errors.As(err, &bad) {
		t.Fatalf("%v: %+v, %v", options, p, err)
	}
	return bad
}

// added returns the numbers of the tokens that a response to a diff query added, newest first.
func added(p *Response) (out []int) {
	out = []int{}
	for _, e := range p.Diff {
		for i := range 256 {
			if len(e.Added) == 1 && e.Added[0] == hash(byte(i)) {
				out = append(out, i)
			}
		}
	}
	return out
}
