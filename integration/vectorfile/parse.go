package vectorfile

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNotVector: the content is no vector of a shape this package knows.
var ErrNotVector = errors.New("not a vector file")

// probe are the members that tell the shapes apart.
type probe struct {
	Kind     *string                    `json:"kind"` // aiocoap
	Type     *string                    `json:"type"` // Californium
	Common   map[string]json.RawMessage `json:"common"`
	Messages []json.RawMessage          `json:"messages"`
	Groups   map[string]json.RawMessage `json:"groups"` // accept/reject cases
	Cases    []json.RawMessage          `json:"cases"`
	Vectors  []json.RawMessage          `json:"vectors"` // several exchanges
}

// Parse reads a file. ErrNotVector is returned for anything that is no vector,
// be it JSON or not; another error says that it looks like one and is broken.
func Parse(b []byte) (*File, error) {
	var p probe
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, ErrNotVector
	}
	f := new(File)
	switch {
	case p.Groups != nil && p.Cases != nil:
		cases, err := parseCases(b)
		if err != nil {
			return nil, err
		}
		f.Cases = cases
	case p.Vectors != nil:
		for i, raw := range p.Vectors {
			x, err := parseExchange(raw)
			if err != nil {
				return nil, fmt.Errorf("vector %d: %w", i, err)
			}
			f.Exchanges = append(f.Exchanges, x)
		}
	default:
		x, err := parseExchange(b)
		if err != nil {
			return nil, err
		}
		f.Exchanges = []*Exchange{x}
	}
	return f, nil
}

// parseExchange reads one exchange of either shape.
func parseExchange(b []byte) (*Exchange, error) {
	var p probe
	if err := json.Unmarshal(b, &p); err != nil || p.Common == nil || p.Messages == nil {
		return nil, ErrNotVector
	}
	is := func(s *string, a, b string) bool { return s != nil && (*s == a || *s == b) }
	var (
		x   *Exchange
		err error
	)
	switch {
	case is(p.Kind, "oscore", "group"):
		x, err = parseAiocoap(b)
	case is(p.Type, "oscore", "group-oscore"):
		x, err = parseCalifornium(b)
	default:
		return nil, ErrNotVector
	}
	if err != nil {
		return nil, err
	}
	return x, x.check()
}

// check finds what would make an exchange unusable.
func (x *Exchange) check() error {
	if len(x.Params.MasterSecret) == 0 {
		return fmt.Errorf("%s: no master secret", x.Name)
	}
	for i, m := range x.Messages {
		switch {
		case i == 0 && !m.Request:
			return fmt.Errorf("%s: starts with a response", x.Name)
		case len(m.Unprotected) == 0 || len(m.Protected) == 0:
			return fmt.Errorf("%s: message %d is incomplete", x.Name, i)
		case x.Params.Member(m.From) == nil:
			return fmt.Errorf("%s: message %d is from nobody known", x.Name, i)
		case m.To != "" && x.Params.Member(m.To) == nil:
			return fmt.Errorf("%s: message %d is to nobody known", x.Name, i)
		}
		switch m.Mode {
		case "plain", "group", "pairwise", "det":
		default:
			return fmt.Errorf("%s: message %d has mode %q", x.Name, i, m.Mode)
		}
		if (m.Mode == "plain") == x.Params.Group {
			return fmt.Errorf("%s: message %d has mode %q", x.Name, i, m.Mode)
		}
	}
	return nil
}
