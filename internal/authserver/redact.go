package authserver

import "fmt"

// Format writes which server it is, whatever the verb.
func (s *Service) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "authserver.Service(%s)", s.cfg.Issuer) }
