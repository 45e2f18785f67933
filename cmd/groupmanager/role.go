package main

import "fmt"

// role is what a process of groupmanager is.
type role uint8

const (
	roleBoth role = iota
	roleAS        // the Authorization Server alone
	roleGM        // the Group Manager alone; it takes tokens of the servers it was told to trust
)

func parseRole(v string) (role, error) {
	switch v {
	case "both":
		return roleBoth, nil
	case "as":
		return roleAS, nil
	case "gm":
		return roleGM, nil
	}
	return 0, fmt.Errorf("%q is neither as, gm nor both", v)
}

func (r role) authorizes() bool { return r != roleGM }
func (r role) manages() bool    { return r != roleAS }
