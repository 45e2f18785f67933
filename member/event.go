package member

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventJoined     EventKind = iota + 1 // the device became a member
	EventRekeyed                         // new keying material was installed
	EventMissed                          // a rekeying was missed; the current material was fetched
	EventNewID                           // the device has a new Sender ID
	EventEvicted                         // the Group Manager removed the device
	EventLeft                            // the device left
	EventAssociated                      // the association with the Group Manager was made anew
	EventExpired                         // the keying material expired before there was newer one
	EventInactive                        // the group is not active: nothing is sent or taken
	EventActive                          // the group is active again
)

var eventNames = [...]string{
	EventJoined: "joined", EventRekeyed: "rekeyed", EventMissed: "missed-rekeying", EventNewID: "new-sender-id",
	EventEvicted: "evicted", EventLeft: "left", EventAssociated: "associated", EventExpired: "expired",
	EventInactive: "inactive", EventActive: "active",
}

// String names the kind.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k != 0 {
		return eventNames[k]
	}
	return "unknown"
}

// Event is something that happened to one group of a device.
type Event struct {
	Kind     EventKind
	Group    string // empty if it concerns the device as a whole
	Version  uint64 // of the keying material afterwards
	SenderID []byte // the device's own afterwards
}

func (d *Device) event(e Event) {
	d.cfg.Log.Info("member event", "kind", e.Kind.String(), "group", e.Group, "version", e.Version)
	if d.cfg.OnEvent != nil {
		d.cfg.OnEvent(e)
	}
}

// event tells of something that happened to the group.
func (g *Group) event(k EventKind) {
	st := g.Status()
	g.d.event(Event{Kind: k, Group: g.name, Version: st.Version, SenderID: st.SenderID})
}
