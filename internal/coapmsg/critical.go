package coapmsg

import "github.com/plgd-dev/go-coap/v3/message"

// UnknownCritical returns the first critical option of opts that a receiver
// has to treat as unrecognised: one this implementation does not know, a
// second instance of one that is not repeatable (RFC 7252, Section 5.4.5), or
// one whose value has an illegal length (Section 5.4.3). The caller answers a
// confirmable request with 4.02 and rejects anything else (Section 5.4.1).
// opts are sorted, as ParseOptions gives them.
func UnknownCritical(opts message.Options) (message.OptionID, bool) {
	for i, o := range opts {
		if !IsCritical(o.ID) {
			continue
		}
		d, known := define(o.ID)
		if !known || len(o.Value) < d.min || len(o.Value) > d.max {
			return o.ID, true
		}
		if !d.repeatable && i > 0 && opts[i-1].ID == o.ID {
			return o.ID, true
		}
	}
	return 0, false
}

// IgnoreElective returns opts without the elective options a receiver has to
// ignore because their length is illegal, or because they repeat an option
// that is not repeatable (RFC 7252, Sections 5.4.3 and 5.4.5). Options this
// implementation does not know are kept. opts is returned itself if nothing
// is to be ignored; otherwise the result is a new slice.
func IgnoreElective(opts message.Options) message.Options {
	out := opts
	for i, o := range opts {
		d, known := define(o.ID)
		bad := !IsCritical(o.ID) && known &&
			(len(o.Value) < d.min || len(o.Value) > d.max ||
				!d.repeatable && i > 0 && opts[i-1].ID == o.ID)
		switch {
		case bad && len(out) == len(opts):
			out = append(make(message.Options, 0, len(opts)), opts[:i]...)
		case !bad && len(out) != len(opts):
			out = append(out, o)
		}
	}
	return out
}
