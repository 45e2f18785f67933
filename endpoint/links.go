package endpoint

import (
	"errors"
	"fmt"
	"strings"
)

// ErrLinks reports a document that is not in link format.
var ErrLinks = errors.New("not in link format")

// Link is an entry of a link-format document, such as /.well-known/core
// (RFC 6690).
type Link struct {
	Target string // URI reference, as it stands
	Attrs  []Attr
}

// Attr is a target attribute of a link, such as rt="light". An attribute
// without a value, such as obs, has NoValue.
type Attr struct {
	Name, Value string
	NoValue     bool
}

// Get returns the first attribute with a name.
func (l Link) Get(name string) (value string, ok bool) {
	for _, a := range l.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// OSCORE says that the target can only be had with OSCORE; whether in a group
// too, Group says. It is a hint (RFC 8613, Section 9;
// draft-ietf-core-oscore-groupcomm, Section 11). Values and repetitions of the
// attributes mean nothing.
func (l Link) OSCORE() bool {
	_, osc := l.Get("osc")
	return osc || l.Group()
}

// Group says that the target can only be had with Group OSCORE or OSCORE.
func (l Link) Group() bool {
	_, gosc := l.Get("gosc")
	return gosc
}

// String gives the link in link format.
func (l Link) String() string {
	var b strings.Builder
	b.WriteString("<" + l.Target + ">")
	for _, a := range l.Attrs {
		b.WriteString(";" + a.Name)
		if !a.NoValue {
			b.WriteString(`="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Value) + `"`)
		}
	}
	return b.String()
}

// maxLinks and maxAttrs bound a document.
const (
	maxLinks = 4096
	maxAttrs = 32
)

// ParseLinks reads a link-format document (RFC 6690, Section 2). Anything but
// white space between its parts is ErrLinks.
func ParseLinks(doc string) ([]Link, error) {
	p := linkParser{s: doc}
	p.space()
	var links []Link
	for p.s != "" {
		l, err := p.link()
		if err != nil {
			return nil, err
		}
		if links = append(links, l); len(links) > maxLinks {
			return nil, fmt.Errorf("%w: more than %d links", ErrLinks, maxLinks)
		}
		if p.s == "" {
			break
		}
		if !p.take(",") || p.s == "" {
			return nil, p.fault("a link")
		}
	}
	return links, nil
}

type linkParser struct{ s string }

func (p *linkParser) space() { p.s = strings.TrimLeft(p.s, " \t\r\n") }

// take takes a piece, and the white space after it.
func (p *linkParser) take(piece string) bool {
	rest, ok := strings.CutPrefix(p.s, piece)
	if ok {
		p.s = rest
		p.space()
	}
	return ok
}

func (p *linkParser) fault(wanted string) error {
	return fmt.Errorf("%w: %s expected before %.20q", ErrLinks, wanted, p.s)
}

func (p *linkParser) link() (l Link, err error) {
	if !strings.HasPrefix(p.s, "<") {
		return l, p.fault("a target")
	}
	target, rest, ok := strings.Cut(p.s[1:], ">")
	if !ok || strings.ContainsAny(target, "< \"") {
		return l, p.fault("a target")
	}
	l.Target, p.s = target, rest
	p.space()
	for p.take(";") {
		a, err := p.attr()
		if err != nil {
			return l, err
		}
		if l.Attrs = append(l.Attrs, a); len(l.Attrs) > maxAttrs {
			return l, fmt.Errorf("%w: more than %d attributes", ErrLinks, maxAttrs)
		}
	}
	return l, nil
}

// endOfToken are the characters that end a name or an unquoted value.
const endOfToken = "=;,\" \t\r\n<>"

func (p *linkParser) token() string {
	n := strings.IndexAny(p.s, endOfToken)
	if n < 0 {
		n = len(p.s)
	}
	t := p.s[:n]
	p.s = p.s[n:]
	p.space()
	return t
}

func (p *linkParser) attr() (a Attr, err error) {
	if a.Name = p.token(); a.Name == "" {
		return a, p.fault("a name")
	}
	if !p.take("=") {
		a.NoValue = true
		return a, nil
	}
	if !strings.HasPrefix(p.s, `"`) {
		if a.Value = p.token(); a.Value == "" {
			return a, p.fault("a value")
		}
		return a, nil
	}
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.s = p.s[i+1:]
			p.space()
			a.Value = b.String()
			return a, nil
		case c == '\\' && i+1 < len(p.s):
			i++
			b.WriteByte(p.s[i])
		default:
			b.WriteByte(c)
		}
	}
	return a, p.fault("a closing quote")
}
