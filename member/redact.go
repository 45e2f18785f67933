package member

import "fmt"

// Format writes the name of the device, whatever the verb: the enrolment secret
// and the keys in unexported fields would print otherwise.
func (d *Device) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "member.Device(%s)", d.cfg.Enrolment.Device)
}

// Format writes the name of the group, whatever the verb: its keys in
// unexported fields would print otherwise.
func (g *Group) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "member.Group(%s)", g.name) }

// Format writes whose copy it is, whatever the verb.
func (c CopiedKeys) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "member.CopiedKeys(%x)", c.Identity.SenderID)
}

// Format writes whose configuration it is, whatever the verb: the enrolment
// holds a secret, and some verbs print what a pointer points to.
func (c Config) Format(f fmt.State, _ rune) {
	name := ""
	if c.Enrolment != nil {
		name = c.Enrolment.Device
	}
	fmt.Fprintf(f, "member.Config(%s)", name)
}
