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
)

// String names the kind.
func (k EventKind) String() string {
	names := [...]string{"", "joined", "rekeyed", "missed-rekeying", "new-sender-id", "evicted", "left", "associated"}
	if int(k) < len(names) {
		return names[k]
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
