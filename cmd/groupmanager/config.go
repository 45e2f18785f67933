package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/manager"
)

const (
	envPrefix   = "COHORT_"
	configName  = "groupmanager.yaml"
	configInEtc = "/etc/cohort/" + configName
)

// config is what the Group Manager runs with. Paths are absolute.
type config struct {
	File string // where the file was found; empty: there is none

	DataDir   string
	SealKey   secretRef
	Socket    string
	Listen    netip.AddrPort
	URI       string // empty: made from Listen
	Audience  string
	Issuer    string // of tokens; empty: made from Audience
	Anchor    string // empty: none
	OnRestart manager.RestartPolicy
	Role      role
	LogLevel  slog.Level
	LogFormat string
}

// secretRef says where a secret is kept; it never holds the secret.
type secretRef struct {
	kind string // one of secretKinds
	name string // path, or name of the systemd credential
}

const secretKinds = "file:PATH, passphrase-file:PATH, credential:NAME or passphrase-credential:NAME"

func (r secretRef) isFile() bool { return r.kind == "file" || r.kind == "passphrase-file" }

func (r secretRef) String() string { return r.kind + ":" + r.name }

// setting is one key of the configuration: in the file as it is, as a flag with
// dashes, in the environment in capitals after COHORT_.
type setting struct {
	key, def string
	doc      []string // for the file and, its first line, for the flag
	// set parses the value into c. base is the directory that a relative path starts from.
	set func(c *config, value, base string) error
}

func (s setting) flag() string { return flagName(s.key) }
func (s setting) env() string  { return envPrefix + strings.ToUpper(s.key) }

// settings lists every key, in the order of the file.
func settings() []setting {
	return []setting{
		{"data_dir", "data", []string{"Directory of the state, mode 0700. Relative paths start at this file's directory."},
			func(c *config, v, base string) (err error) { c.DataDir, err = absolute(v, base); return }},
		{"seal_key", "file:seal.key", []string{"Where the key that seals the state is. It is kept outside data_dir: whoever copies the one does not have the other.",
			secretKinds + " (credentials of systemd)."},
			func(c *config, v, base string) (err error) { c.SealKey, err = parseSecretRef(v, base); return }},
		{"anchor", "", []string{"File that shows whether the state was set back, outside data_dir and best on another volume. With it",
			"associations with devices outlive a planned restart; without it every device posts its token again."},
			func(c *config, v, base string) (err error) {
				if v != "" {
					c.Anchor, err = absolute(v, base)
				}
				return err
			}},
		{"on_restart", "rekey", []string{"What a start does to the groups: rekey, keep (their keying material), or rekey-if-unclean.",
			"The last two need an anchor that shows the state to be the newest; where it does not, groups are rekeyed."},
			func(c *config, v, _ string) (err error) { c.OnRestart, err = manager.ParseRestartPolicy(v); return }},
		{"role", "both", []string{"What this process is: as (Authorization Server), gm (Group Manager), or both."},
			func(c *config, v, _ string) (err error) { c.Role, err = parseRole(v); return }},
		{"socket", "run/groupmanager.sock", []string{"Unix socket of the operator's commands; its directory has mode 0700."},
			func(c *config, v, base string) (err error) { c.Socket, err = absolute(v, base); return }},
		{"listen", "127.0.0.1:5683", []string{"UDP address and port that devices reach.",
			"The default is this machine only: give an address of the network, or 0.0.0.0:5683 for all of them."},
			func(c *config, v, _ string) (err error) { c.Listen, err = parseListen(v); return }},
		{"uri", "", []string{"CoAP URI that enrolled devices are told to use, as coap://192.0.2.1:5683; devices look up no names.",
			"Needed when listen is a wildcard; otherwise it is made from listen."},
			func(c *config, v, _ string) (err error) { c.URI, err = parseURI(v); return }},
		{"audience", "gm1", []string{"Name of this Group Manager in access tokens."},
			func(c *config, v, _ string) (err error) { c.Audience, err = parseAudience(v); return }},
		{"issuer", "", []string{"Name of this Authorization Server in access tokens; default: as- and the audience. A Group Manager that",
			"trusts several Authorization Servers tells them apart by it, so give each another one."},
			func(c *config, v, _ string) (err error) {
				if v != "" {
					c.Issuer, err = parseAudience(v)
				}
				return err
			}},
		{"log_level", "info", []string{"debug, info, warn or error."},
			func(c *config, v, _ string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
		{"log_format", "text", []string{"text or json, to standard error."},
			func(c *config, v, _ string) error {
				if v != "text" && v != "json" {
					return fmt.Errorf("%q is neither text nor json", v)
				}
				c.LogFormat = v
				return nil
			}},
	}
}

// addSettingFlags gives every setting a flag.
func addSettingFlags(fs *pflag.FlagSet, keys ...string) {
	for _, s := range settings() {
		for _, k := range keys {
			if k == s.key {
				fs.String(s.flag(), "", strings.TrimSuffix(s.doc[0], "."))
			}
		}
	}
}

// loadConfig puts the configuration together: flag before environment before
// file before default. named is the file asked for; empty means $COHORT_CONFIG,
// then groupmanager.yaml here, then in /etc/cohort, then none. All faults are
// returned at once, one to a line.
func loadConfig(named string, flags *pflag.FlagSet, env func(string) (string, bool)) (*config, error) {
	path, required := findConfig(named, env)
	values := map[string]located{}
	var faults []error
	if path != "" {
		var err error
		values, err = readConfigFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !required:
			path = ""
		case errors.Is(err, fs.ErrNotExist):
			return nil, cli.Fail(cli.ExitUsage, "make one with groupmanager init, or name another with --config", "no configuration file %s", path)
		case err != nil:
			faults = append(faults, err)
		}
	}
	base := "."
	if path != "" {
		base = filepath.Dir(path)
	}
	c := &config{File: path}
	for _, s := range settings() {
		v := located{text: s.def, where: "default of " + s.key}
		from := base
		if fv, ok := values[s.key]; ok {
			v = fv
		}
		if ev, ok := env(s.env()); ok {
			v, from = located{text: ev, where: s.env()}, "."
		}
		if f := flags.Lookup(s.flag()); f != nil && f.Changed {
			v, from = located{text: f.Value.String(), where: "--" + s.flag()}, "."
		}
		if err := s.set(c, v.text, from); err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", v.where, s.key, err))
		}
	}
	if len(faults) == 0 {
		faults = append(faults, c.check()...)
	}
	if len(faults) > 0 {
		return nil, cli.Fail(cli.ExitUsage, "groupmanager validate checks a configuration without starting anything", "%w", errors.Join(faults...))
	}
	return c, nil
}

// findConfig returns the file to read and whether it must be there.
func findConfig(named string, env func(string) (string, bool)) (path string, required bool) {
	if named != "" {
		return named, true
	}
	if v, ok := env(envPrefix + "CONFIG"); ok && v != "" {
		return v, true
	}
	if _, err := os.Lstat(configName); err == nil {
		return configName, true
	}
	return configInEtc, false
}

// check finds what is wrong between settings that are right one by one.
func (c *config) check() []error {
	var faults []error
	if c.URI == "" {
		if c.Listen.Addr().IsUnspecified() {
			faults = append(faults, fmt.Errorf("uri: listen is %s, so say which URI devices use", c.Listen))
		}
		c.URI = "coap://" + c.Listen.String()
	}
	if c.Issuer == "" {
		c.Issuer = "as-" + c.Audience
	}
	if c.SealKey.isFile() && within(c.SealKey.name, c.DataDir) {
		faults = append(faults, fmt.Errorf("seal_key: %s lies in data_dir: whoever copies the data has the key too", c.SealKey.name))
	}
	if c.OnRestart != manager.RestartRekey && c.Anchor == "" {
		faults = append(faults, fmt.Errorf("on_restart: %v needs an anchor", c.OnRestart))
	}
	if c.Anchor != "" && within(c.Anchor, c.DataDir) {
		faults = append(faults, fmt.Errorf("anchor: %s lies in data_dir: it would be set back with the data", c.Anchor))
	}
	return faults
}

// within reports whether path lies in dir or is dir.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func absolute(path, base string) (string, error) {
	if path == "" {
		return "", errors.New("empty path")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	return filepath.Abs(path)
}

func parseSecretRef(v, base string) (secretRef, error) {
	kind, name, ok := strings.Cut(v, ":")
	if !ok || name == "" {
		return secretRef{}, fmt.Errorf("%q is no reference: give %s", v, secretKinds)
	}
	switch kind {
	case "file", "passphrase-file":
		abs, err := absolute(name, base)
		return secretRef{kind, abs}, err
	case "credential", "passphrase-credential":
		if strings.ContainsRune(name, filepath.Separator) {
			return secretRef{}, fmt.Errorf("%q is no name of a credential", name)
		}
		return secretRef{kind, name}, nil
	}
	return secretRef{}, fmt.Errorf("%q is no place for a secret: give %s", kind, secretKinds)
}

func parseListen(v string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(v)
	switch {
	case err != nil:
		return a, fmt.Errorf("%q is no address and port, as 192.0.2.1:5683 or [2001:db8::1]:5683", v)
	case a.Addr().IsMulticast():
		return a, fmt.Errorf("%s is a multicast address", a.Addr())
	}
	return a, nil
}

func parseURI(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	wrong := fmt.Errorf("%q is no coap URI of an address, as coap://192.0.2.1:5683 or coap://[2001:db8::1]", v)
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "coap" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", wrong
	}
	if a, err := netip.ParseAddr(u.Hostname()); err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return "", wrong
	}
	return "coap://" + u.Host, nil
}

func parseAudience(v string) (string, error) {
	if v == "" || len(v) > 255 {
		return "", errors.New("must have 1 to 255 bytes")
	}
	return v, nil
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }
