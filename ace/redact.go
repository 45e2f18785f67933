package ace

import "fmt"

// Format writes what the value is, whatever the verb: the token keys in unexported fields would print through it.
func (s *ResourceServer) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "ace.ResourceServer(%s)", s.cfg.Audience)
}

// Format writes which token it is of, whatever the verb: the secrets of its context would print through unexported fields.
func (p *Pending) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "ace.Pending(%v)", p.Token.Hash)
}
