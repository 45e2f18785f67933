package vectorfile

import (
	"encoding/json"
	"fmt"
)

type aiocoapEndpoint struct {
	ID         Hex
	PrivateKey Hex `json:"private_key"`
	AuthCred   Hex `json:"auth_cred"`
	SenderKey  Hex `json:"sender_key"`
}

type aiocoap struct {
	Name, Source, Kind string
	Conformant         *bool `json:"spec_conformant"`
	Deviations         []string
	Elements           *int `json:"countersign_structure_elements"`
	Common             struct {
		AEAD         Number `json:"alg_aead"`
		HKDF         Number
		GroupEnc     Number `json:"alg_group_enc"`
		Signature    Number `json:"alg_signature"`
		KeyAgreement Number `json:"alg_pairwise_key_agreement"`
		MasterSecret Hex    `json:"master_secret"`
		MasterSalt   Hex    `json:"master_salt"`
		Gid          Hex
		IDContext    Hex  `json:"id_context"`
		GMCred       Hex  `json:"gm_cred"`
		CommonIV     Hex  `json:"common_iv"`
		SEKey        Hex  `json:"signature_encryption_key"`
		Elements     *int `json:"countersign_structure_elements"`
	}
	Client, Server aiocoapEndpoint
	Deterministic  *aiocoapEndpoint `json:"deterministic_client"`
	Pairwise       *struct {
		SharedSecret Hex `json:"shared_secret"`
		ClientServer Hex `json:"client_to_server_key"`
		ServerClient Hex `json:"server_to_client_key"`
	}
	Messages []struct {
		Type, Mode, Sender string
		Seq                *uint64
		Unprotected        Hex
		Protected          Hex
		Option             Hex `json:"oscore_option"`
		Plaintext          Hex
		ExternalAAD        Hex `json:"external_aad"`
		AAD                Hex
		Nonce              Hex
		Key                Hex
		Ciphertext         Hex
		Countersign        Hex `json:"countersign_tbs"`
		Signature          Hex
		Keystream          Hex
		KeystreamInfo      Hex             `json:"keystream_info"`
		Deviation          json.RawMessage `json:"outer_header_deviation"`
	}
}

// parseAiocoap reads the shape of the aiocoap driver.
func parseAiocoap(b []byte) (*Exchange, error) {
	var f aiocoap
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("aiocoap vector: %w", err)
	}
	c := f.Common
	x := &Exchange{
		Name: f.Name, Source: f.Source, Deviations: f.Deviations,
		Conformant: f.Conformant == nil || *f.Conformant,
		Params: Params{
			Group: f.Kind == "group",
			AEAD:  c.AEAD, HKDF: c.HKDF, GroupEnc: c.GroupEnc, Signature: c.Signature, KeyAgreement: c.KeyAgreement,
			MasterSecret: c.MasterSecret, MasterSalt: c.MasterSalt, IDContext: c.IDContext, GMCredential: c.GMCred,
			CommonIV: c.CommonIV, SignatureEncryptionKey: c.SEKey,
		},
	}
	if x.Params.Group {
		x.Params.IDContext = c.Gid
	}
	if f.Elements == nil {
		f.Elements = c.Elements
	}
	four, err := elements(f.Elements)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	x.Params.FourElements = four
	for _, m := range []struct {
		name string
		e    aiocoapEndpoint
	}{{"client", f.Client}, {"server", f.Server}} {
		x.Params.Members = append(x.Params.Members, Member{
			Name: m.name, ID: m.e.ID, PrivateKey: m.e.PrivateKey, Credential: m.e.AuthCred, SenderKey: m.e.SenderKey,
		})
	}
	if f.Deterministic != nil {
		x.Params.DeterministicClient = f.Deterministic.ID
	}
	if p := f.Pairwise; p != nil {
		x.Params.Pairwise = []PairwiseKey{
			{From: "client", To: "server", SharedSecret: p.SharedSecret, Key: p.ClientServer},
			{From: "server", To: "client", SharedSecret: p.SharedSecret, Key: p.ServerClient},
		}
	}
	for i, m := range f.Messages {
		to := "server"
		switch m.Type {
		case "request":
			if m.Sender == "" {
				m.Sender = "client"
			}
		case "response":
			to = "client"
			if m.Sender == "" {
				m.Sender = "server"
			}
		default:
			return nil, fmt.Errorf("%s: message %d is of type %q", f.Name, i, m.Type)
		}
		x.Messages = append(x.Messages, Message{
			Request: m.Type == "request", Mode: m.Mode, From: m.Sender, To: to, Seq: m.Seq,
			Unprotected: m.Unprotected, Protected: m.Protected, OuterCodeDeviates: len(m.Deviation) > 0,
			Option: m.Option, Plaintext: m.Plaintext, ExternalAAD: m.ExternalAAD, AAD: m.AAD, Nonce: m.Nonce, Key: m.Key,
			Ciphertext: m.Ciphertext, Countersign: m.Countersign, Signature: m.Signature,
			Keystream: m.Keystream, KeystreamInfo: m.KeystreamInfo,
		})
	}
	return x, nil
}
