package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/integration/oracle"
	"github.com/cohort-iot/cohort/integration/relay"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// Config describes a campaign.
type Config struct {
	Binary  string // the groupmanager command
	Dir     string // empty; its path must be short
	Devices int
	Anchor  bool // keep one, so that associations outlive a kill
	// Policy is what the Group Manager does at a start: the value of on_restart;
	// empty for the default.
	Policy string
	// GidEpochs, if not 0, is after how many others a Gid comes back.
	GidEpochs int
	// Window is how long a rekeying waits for further removals.
	Window time.Duration
	Seed   uint64
	Quiet  bool     // no datagram gets lost or doubled
	Under  []string // a command to run the Group Manager under
}

// world is a Group Manager, the devices, and all that is known of what went
// between them.
type world struct {
	cfg     Config
	rand    *rand.Rand
	proc    *process
	relay   *relay.Relay
	devices []*device

	mu      sync.Mutex // held for a moment only: the relay waits
	records []relay.Datagram
	fuse    int           // datagrams until the kill; 0: not armed
	blown   chan struct{} // closed when the fuse has burnt down
	faults  []error
	tasks   int  // begun
	cutOff  int  // of them, those that a kill ended
	putsOut bool // something in this round may put any member out

	secrets sync.Mutex // oracle, facts, creds
	oracle  *oracle.Oracle
	facts   *facts
	creds   memberCreds
	round   atomic.Int64
}

func newWorld(ctx context.Context, cfg Config) (*world, error) {
	w := &world{
		cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 1)),
		oracle: oracle.New(), facts: newFacts(), creds: memberCreds{},
	}
	w.oracle.ReassignedGids, w.facts.reassigned = cfg.GidEpochs > 0, cfg.GidEpochs > 0
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	net := relay.Config{Front: netip.MustParseAddrPort("127.0.0.1:0"), Server: listen, Record: w.record, Seed: cfg.Seed}
	if !cfg.Quiet {
		net.Drop, net.Double = 0.02, 0.05
	}
	if w.relay, err = relay.New(net); err != nil {
		return nil, err
	}
	var env []string
	if cfg.Anchor {
		env = append(env, "COHORT_ANCHOR="+cfg.Dir+"/anchor/anchor")
		if err := os.Mkdir(cfg.Dir+"/anchor", 0o700); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	if cfg.Policy != "" {
		env = append(env, "COHORT_ON_RESTART="+cfg.Policy)
	}
	if w.proc, err = newProcess(cfg.Binary, cfg.Dir, listen, "coap://"+w.relay.Front().String(), env...); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.proc.prefix = cfg.Under
	if err := w.populate(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// populate starts the Group Manager for the first time and enrols the devices.
func (w *world) populate(ctx context.Context) error {
	if err := w.proc.start(ctx); err != nil {
		return err
	}
	spec := httpapi.GroupSpec{Name: groupName, GidReuse: w.cfg.GidEpochs > 0, GidEpochs: w.cfg.GidEpochs}
	settings := fmt.Sprintf(`{"max_stale_sets": 8, "leave_window": %q, "eviction_window": %[1]q}`, w.cfg.Window)
	if err := json.Unmarshal([]byte(settings), &spec.GroupSettings); err != nil {
		return err
	}
	if _, err := w.proc.operator.CreateGroup(ctx, spec); err != nil {
		return err
	}
	for i := range w.cfg.Devices {
		d, err := newDevice(ctx, w, fmt.Sprintf("device%d", i))
		if err != nil {
			return err
		}
		w.devices = append(w.devices, d)
	}
	return nil
}

func (w *world) close() error {
	var err error
	if w.proc != nil {
		err = errors.Join(w.proc.kill(), w.proc.log.Close())
	}
	for _, d := range w.devices {
		err = errors.Join(err, d.ep.Close())
	}
	return errors.Join(err, w.relay.Close())
}

// record takes a datagram from the relay, and burns the fuse.
func (w *world) record(d relay.Datagram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, d)
	if w.fuse > 0 {
		if w.fuse--; w.fuse == 0 {
			close(w.blown)
		}
	}
}

// fault notes that something was wrong which no check sees.
func (w *world) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, err)
}

func (w *world) enrol(ctx context.Context, name string) (*ace.Enrolment, error) {
	e, err := w.proc.operator.EnrolDevice(ctx, httpapi.DeviceSpec{Name: name, Groups: map[string]string{groupName: roles.String()}})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(e.Enrolment)
	if err != nil {
		return nil, err
	}
	return ace.ParseEnrolment(text)
}

func (w *world) addB2(name string, p oscore.Params) {
	w.secrets.Lock()
	defer w.secrets.Unlock()
	w.oracle.AddB2(name, p)
}

func (w *world) addAssociation(name string, p oscore.Params) error {
	w.secrets.Lock()
	defer w.secrets.Unlock()
	return w.oracle.AddAssociation(name, p)
}

// memberCreds are the members' credentials by Gid and Sender ID.
type memberCreds map[string]*cose.Credential

// Credential implements grouposcore.CredentialSource.
func (m memberCreds) Credential(gid, id []byte) (*cose.Credential, error) {
	if c := m[fmt.Sprintf("%x/%x", gid, id)]; c != nil {
		return c, nil
	}
	return nil, grouposcore.ErrNoCredential
}

// speak has a device send its first message under a Sender ID, to the oracle: the
// Group Manager is not in that group's way.
func (w *world) speak(d *device, h *holding) error {
	if h.key.SenderID == nil || h.gm == nil {
		return nil
	}
	k := h.key
	p := grouposcore.Params{
		Gid: k.Gid, MasterSecret: k.MasterSecret, MasterSalt: k.MasterSalt, HKDF: k.HKDF, AEAD: k.AEAD, KeyAgreement: k.KeyAgreement,
		GroupEnc: k.GroupEnc, Signature: k.Signature, CredentialFormat: k.CredentialFormat, GMCredential: h.gm,
	}
	if p.HKDF == 0 {
		p.HKDF = cose.AlgHMAC256
	}
	w.secrets.Lock()
	defer w.secrets.Unlock()
	w.creds[fmt.Sprintf("%x/%x", k.Gid, k.SenderID)] = d.cred
	c, err := grouposcore.NewContext(p, grouposcore.Identity{SenderID: k.SenderID, Credential: d.cred, PrivateKey: d.key}, oscore.NewEphemeralSequence(), w.creds)
	if err != nil {
		return err
	}
	m, _, err := c.ProtectRequest(message.Message{
		Code: codes.POST, Token: []byte(d.name), Payload: []byte(d.name), Type: message.NonConfirmable, MessageID: 1,
	}, grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
	if err != nil {
		return err
	}
	b, err := coapmsg.AppendDatagram(nil, m)
	if err != nil {
		return err
	}
	where := fmt.Sprintf("round %d, version %d", w.round.Load(), h.version)
	if err := w.oracle.AddGroup(where, p, w.creds); err != nil {
		return err
	}
	_, err = w.oracle.Look("group", oracle.FromDevice, b, where)
	return err
}

// judge opens everything that was recorded since it was called last.
func (w *world) judge() error {
	w.mu.Lock()
	records, faults := w.records, w.faults
	w.records, w.faults = nil, nil
	w.mu.Unlock()
	w.secrets.Lock()
	defer w.secrets.Unlock()
	errs := faults
	for _, r := range records {
		from := oracle.FromDevice
		if r.Direction == relay.ToDevice {
			from = oracle.FromServer
		}
		o, err := w.oracle.Look(r.Device.String(), from, r.Bytes, fmt.Sprintf("round %d", w.round.Load()))
		if err == nil && from == oracle.FromServer {
			err = w.facts.see(o, w.nameOf(r.Device))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (w *world) nameOf(a netip.AddrPort) string {
	for _, d := range w.devices {
		if d.ep.LocalAddr() == a {
			return d.name
		}
	}
	return "?"
}
