package vectorfile

import (
	"encoding/json"
	"fmt"
	"sort"
)

type caseGroup struct {
	AEAD          Number `json:"alg_aead"`
	HKDF          Number
	GroupEnc      Number `json:"alg_group_enc"`
	Signature     Number `json:"alg_signature"`
	KeyAgreement  Number `json:"alg_pairwise_key_agreement"`
	MasterSecret  Hex    `json:"master_secret"`
	MasterSalt    Hex    `json:"master_salt"`
	Gid           Hex
	GMCred        Hex  `json:"gm_cred"`
	Deterministic Hex  `json:"deterministic_client_id"`
	Elements      *int `json:"countersign_structure_elements"`
	Members       map[string]aiocoapEndpoint
}

type caseFile struct {
	Groups map[string]caseGroup
	Cases  []struct {
		Name, Group, Kind, Receiver, Reason, Section, Expected string
		Message, Request                                       Hex
		RequestMode                                            string `json:"request_mode"`
		ReceivedBefore                                         []Hex  `json:"received_before"`
	}
}

// parseCases reads a collection of accept/reject cases.
func parseCases(b []byte) ([]*Case, error) {
	var f caseFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("accept/reject cases: %w", err)
	}
	groups := make(map[string]*Params, len(f.Groups))
	for name, g := range f.Groups {
		p := &Params{
			Group: true, AEAD: g.AEAD, HKDF: g.HKDF, GroupEnc: g.GroupEnc, Signature: g.Signature, KeyAgreement: g.KeyAgreement,
			MasterSecret: g.MasterSecret, MasterSalt: g.MasterSalt, IDContext: g.Gid, GMCredential: g.GMCred,
			DeterministicClient: g.Deterministic,
		}
		four, err := elements(g.Elements)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", name, err)
		}
		p.FourElements = four
		for n, m := range g.Members {
			p.Members = append(p.Members, Member{Name: n, ID: m.ID, PrivateKey: m.PrivateKey, Credential: m.AuthCred})
		}
		sort.Slice(p.Members, func(i, j int) bool { return p.Members[i].Name < p.Members[j].Name })
		groups[name] = p
	}
	var out []*Case
	for _, c := range f.Cases {
		p := groups[c.Group]
		switch {
		case p == nil:
			return nil, fmt.Errorf("case %s: group %q is not there", c.Name, c.Group)
		case c.Kind != "request" && c.Kind != "response":
			return nil, fmt.Errorf("case %s: kind %q", c.Name, c.Kind)
		case c.Expected != "accept" && c.Expected != "reject":
			return nil, fmt.Errorf("case %s: expected %q", c.Name, c.Expected)
		case p.Member(c.Receiver) == nil:
			return nil, fmt.Errorf("case %s: receiver %q is not there", c.Name, c.Receiver)
		case c.Kind == "response" && (c.Request == nil || c.RequestMode == ""):
			return nil, fmt.Errorf("case %s: response without its request", c.Name)
		}
		out = append(out, &Case{
			Name: c.Name, Reason: c.Reason, Section: c.Section, Params: p, Receiver: c.Receiver, Response: c.Kind == "response",
			Message: c.Message, Request: c.Request, RequestMode: c.RequestMode, ReceivedBefore: c.ReceivedBefore,
			Accept: c.Expected == "accept",
		})
	}
	return out, nil
}
