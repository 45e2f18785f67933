package grouposcore

import (
	"fmt"
	"strings"
)

// LinkHint is what a web link says of the protection its target wants
// (Section 11; RFC 8613, Section 9).
type LinkHint uint8

const (
	// NoHint says nothing.
	NoHint LinkHint = iota
	// HintOSCORE, attribute osc: the target is reached only by OSCORE.
	HintOSCORE
	// HintGroupOSCORE, attribute gosc: by Group OSCORE or OSCORE.
	HintGroupOSCORE
)

// Attributes are what the hint adds to a link, behind its target: gosc comes
// with osc, for those that do not know it.
func (h LinkHint) Attributes() string {
	switch h {
	case HintOSCORE:
		return ";osc"
	case HintGroupOSCORE:
		return ";gosc;osc"
	}
	return ""
}

// HintedLink is a link and its hint.
type HintedLink struct {
	Target string // as between the angle brackets
	Hint   LinkHint
}

// ParseLinkHints reads the links of a document in link format (RFC 6690) for
// what they say of protection. Values of the two attributes and repetitions are
// ignored, and gosc overshadows osc. It is a hint, not to be trusted unless the
// document was protected.
func ParseLinkHints(doc string) ([]HintedLink, error) {
	var links []HintedLink
	for rest := doc; rest != ""; {
		if len(links) > 0 {
			var more bool
			if rest, more = strings.CutPrefix(rest, ","); !more {
				return nil, fmt.Errorf("%w: link format: no comma between links", ErrMalformed)
			}
		}
		target, after, ok := strings.Cut(rest, ">")
		target, open := strings.CutPrefix(target, "<")
		if !ok || !open {
			return nil, fmt.Errorf("%w: link format: no target", ErrMalformed)
		}
		l := HintedLink{Target: target}
		for rest = after; strings.HasPrefix(rest, ";"); {
			var name string
			var err error
			if name, rest, err = cutAttribute(rest[1:]); err != nil {
				return nil, err
			}
			switch name {
			case "gosc":
				l.Hint = HintGroupOSCORE
			case "osc":
				l.Hint = max(l.Hint, HintOSCORE)
			}
		}
		links = append(links, l)
	}
	return links, nil
}

// cutAttribute cuts a link parameter off, with its value if it has one, which
// may be a quoted string.
func cutAttribute(s string) (name, rest string, err error) {
	n := strings.IndexAny(s, "=;,")
	if n < 0 {
		n = len(s)
	}
	if name, rest = s[:n], s[n:]; name == "" {
		return "", "", fmt.Errorf("%w: link format: attribute without name", ErrMalformed)
	}
	value, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return name, rest, nil
	}
	if !strings.HasPrefix(value, `"`) {
		if n = strings.IndexAny(value, ";,"); n < 0 {
			n = len(value)
		}
		return name, value[n:], nil
	}
	for i := 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			return name, value[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("%w: link format: open quotes", ErrMalformed)
}
