package main

import (
	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// groupSetting is a member of httpapi.GroupSettings that has a flag.
type groupSetting struct {
	member, what string
	def          string // what a new group has
}

func groupSettings() []groupSetting {
	return []groupSetting{
		{"hkdf", "`algorithm`: HMAC that derives keys", "HMAC 256/256"},
		{"credential_format", "`format` of the members' credentials: kccs, kcwt, x5chain, x5bag, c5c or c5b", "kccs"},
		{"group_encryption", "`algorithm`: encryption of the group mode", "AES-CCM-16-64-128"},
		{"signature", "`algorithm`: signatures of the group mode", "EdDSA"},
		{"aead", "`algorithm`: encryption of the pairwise mode", "AES-CCM-16-64-128"},
		{"key_agreement", "`algorithm`: key agreement of the pairwise mode", "ECDH-SS with the hash of hkdf"},
		{"key_lifetime", "`time` for which one version of the keying material is used", "24h"},
		{"rekey_margin", "`time` before its end at which the keying material is replaced", "1/20 of the lifetime"},
		{"rekey_jitter", "`time` by which that is earlier at most, spread over the groups; 0s: none", "1/40 of the lifetime"},
		{"check_interval", "`time` after which members ask whether there is newer keying material", "1h"},
		{"expiration_delta", "`time` for which members still decrypt with expired keying material", "0s"},
		{"leave_window", "`time` that a rekeying waits for others to leave too, at most 10m; who left reads on meanwhile", "0s"},
		{"eviction_window", "`time` that a rekeying waits for other evictions, at most 10m; who was put out reads on meanwhile", "0s"},
		{"expiry_window", "`time` that a rekeying waits for other tokens to expire, at most 10m; their owners read on meanwhile", "0s"},
		{"max_stale_sets", "`number` of sets of stale Sender IDs that are kept: a member may miss one rekeying less and go on", "3"},
		{"max_members", "`number` of members at most", "100000"},
		{"backward_security", "rekey at each join, so that new members cannot read what was sent before: `true` or false", "false"},
	}
}

// settingFlags gives every setting a flag of cmd. The function it returns puts
// what was given into s. defaults says that the help tells them.
func settingFlags(cmd *cobra.Command, s *httpapi.GroupSettings, defaults bool) (read func() (given int, err error)) {
	fs := cmd.Flags()
	for _, g := range groupSettings() {
		what := g.what
		if defaults {
			what += " (default " + g.def + ")"
		}
		fs.String(flagName(g.member), "", what)
	}
	fs.Lookup("backward-security").NoOptDefVal = "true"
	cli.Complete(cmd, "credential-format", "kccs", "kcwt", "x5chain", "x5bag", "c5c", "c5b")
	return func() (given int, err error) {
		for _, g := range groupSettings() {
			f := fs.Lookup(flagName(g.member))
			if !f.Changed {
				continue
			}
			if err := s.Set(g.member, f.Value.String()); err != nil {
				return 0, cli.Fail(cli.ExitUsage, "see "+cmd.CommandPath()+" --help; algorithms have the names of the COSE registry, as EdDSA or AES-CCM-16-64-128",
					"--%s: %w", f.Name, err)
			}
			given++
		}
		return given, nil
	}
}
