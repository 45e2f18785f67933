package trl

import (
	"github.com/cohort-iot/cohort/ace"
)

// Follower is a requester's side: it says what to ask for next, and what an answer means. It is for one goroutine. The zero value
// asks for everything each time.
type Follower struct {
	// Diff asks for what changed; only if the registration said that it is supported.
	Diff bool
	// Cursor uses the extension; only if the registration said that it is supported. Without it cursor and more in responses are
	// ignored.
	Cursor bool
	// FullEvery is how many queries pass until everything is asked for again, whatever the others said: a diff query misses what
	// has left the collection (RFC 9770, Section 11). Default 10.
	FullEvery int

	at    *uint64 // the update known last
	since int     // queries since everything was asked for
	known bool    // everything was asked for, and nothing is known to be lost since
}

// defaultFullEvery bounds how long a lost update stays unknown: ten times the interval of the queries.
const defaultFullEvery = 10

// Next returns what to ask for now.
func (f *Follower) Next() Query {
	every := f.FullEvery
	if every <= 0 {
		every = defaultFullEvery
	}
	if !f.Diff || !f.known || f.since >= every {
		return Query{}
	}
	q := Query{Diff: true}
	if f.Cursor && f.at != nil {
		q.WithCursor, q.Cursor = true, *f.at
	}
	return q
}

// News is what an answer says.
type News struct {
	// Whole says that Revoked are all revoked tokens: others that were on the list before have expired.
	Whole   bool
	Revoked []ace.TokenHash
	Expired []ace.TokenHash // revoked before, and expired since
}

// Answered takes the answer to a query of Next. again says that there is more to ask for at once. An answer of another kind than
// the query's is taken for what it is, as servers without diff queries answer all alike.
func (f *Follower) Answered(p *Response) (n News, again bool) {
	f.since++
	if p.Full != nil {
		f.known, f.since, f.at = true, 0, nil
		if f.Cursor && p.WithCursor {
			f.at = p.Cursor
		}
		return News{Whole: true, Revoked: p.Full}, false
	}
	if f.Cursor && p.WithCursor {
		// Something was lost if the server says so; or if nothing had changed before, and what is sent does not begin with the first
		// update: then there was no cursor to ask with, by which the server could tell.
		if p.Cursor == nil && p.More || f.at == nil && p.Cursor != nil && *p.Cursor+1 != uint64(len(p.Diff)) {
			f.Lost()
			return News{}, true
		}
		f.at, again = p.Cursor, p.More
	}
	return merge(p.Diff), again
}

// Notified takes a notification of an observation. Notifications get lost, and an answer to a query may have overtaken one, so
// that what it says is learned, and nothing is concluded from what it does not say. again says that there is something to ask for
// at once by Next: something was lost, or it cannot be told whether (RFC 9770, Section 11).
func (f *Follower) Notified(p *Response) (n News, again bool) {
	if p.Full != nil {
		return News{Revoked: p.Full}, !f.known
	}
	n = merge(p.Diff)
	switch updates := uint64(len(p.Diff)); {
	case !f.known:
		return n, true
	case !f.Cursor || !p.WithCursor:
		return n, false // FullEvery finds what was lost
	case p.Cursor == nil:
		return n, p.More || f.at != nil
	case p.More:
		return n, true
	case f.at == nil && *p.Cursor+1 == updates, f.at != nil && *f.at <= *p.Cursor && *p.Cursor-*f.at <= updates:
		f.at = p.Cursor
		return n, false
	}
	return n, true // updates are missing between, or the index has wrapped
}

// Lost says that what is known may be out of date, for instance after an error of the server about the cursor: everything is
// asked for next. An error or no answer says nothing about any token (RFC 9770, Section 11).
func (f *Follower) Lost() { f.known, f.at = false, nil }

// merge applies updates in the order in which they happened.
func merge(diff []Entry) (n News) {
	state := make(map[ace.TokenHash]bool) // added last: true, removed last: false
	var order []ace.TokenHash
	note := func(h ace.TokenHash, added bool) {
		if _, ok := state[h]; !ok {
			order = append(order, h)
		}
		state[h] = added
	}
	for i := len(diff) - 1; i >= 0; i-- {
		for _, h := range diff[i].Added {
			note(h, true)
		}
		for _, h := range diff[i].Removed {
			note(h, false)
		}
	}
	for _, h := range order {
		if state[h] {
			n.Revoked = append(n.Revoked, h)
		} else {
			n.Expired = append(n.Expired, h)
		}
	}
	return n
}
