package vectorfile

import (
	"encoding/json"
	"fmt"
)

// derived is a value of a Californium file that may state how it was made.
type derived struct {
	Value Hex `json:"value"`
	Info  Hex `json:"hkdf_info"`
}

type californium struct {
	Name, Source   string
	Type           string
	DraftOK        *bool    `json:"draft_conformant"`
	RFC8613OK      *bool    `json:"rfc8613_conformant"`
	Nonconformance []string `json:"nonconformance"`
	Elements       *int     `json:"countersign_structure_elements"`
	Algorithms     struct {
		AEAD         Number `json:"alg_aead"`
		HKDF         Number `json:"hkdf"`
		GroupEnc     Number `json:"alg_group_enc"`
		Signature    Number `json:"alg_signature"`
		KeyAgreement Number `json:"alg_pairwise_key_agreement"`
	}
	Common struct {
		MasterSecret Hex `json:"master_secret"`
		MasterSalt   Hex `json:"master_salt"`
		IDContext    Hex `json:"id_context"`
		GMCred       Hex `json:"gm_cred"`
		ClientID     Hex `json:"client_sender_id"`
		ServerID     Hex `json:"server_sender_id"`
	}
	Members []struct {
		Name       string
		SenderID   Hex `json:"sender_id"`
		PrivateKey Hex `json:"private_key"`
		AuthCred   Hex `json:"auth_cred"`
	}
	Derived struct {
		CommonIV   derived            `json:"common_iv"`
		SEKey      derived            `json:"signature_encryption_key"`
		ClientKey  derived            `json:"client_sender_key"`
		ServerKey  derived            `json:"server_sender_key"`
		SenderKeys map[string]derived `json:"sender_keys"`
		Pairwise   []struct {
			From, To     string
			SharedSecret Hex `json:"shared_secret"`
			Key          derived
		}
	}
	Messages []struct {
		Kind, Mode, From, To string
		Seq                  *uint64 `json:"sender_sequence_number"`
		HasPIV               bool    `json:"includes_piv"`
		Unprotected          Hex
		Protected            Hex
		Option               Hex `json:"oscore_option"`
		Plaintext            Hex
		ExternalAAD          Hex `json:"external_aad"`
		AAD                  Hex `json:"enc_structure"`
		Nonce                Hex
		Key                  Hex `json:"encryption_key"`
		Ciphertext           Hex
		Countersign          Hex `json:"countersign_structure"`
		Signature            Hex
		Keystream            derived
		Deviation            json.RawMessage `json:"outer_header_deviation"`
	}
}

// parseCalifornium reads the shape of the Californium generator.
func parseCalifornium(b []byte) (*Exchange, error) {
	var f californium
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("californium vector: %w", err)
	}
	a, c := f.Algorithms, f.Common
	x := &Exchange{
		Name: f.Name, Source: f.Source, Deviations: f.Nonconformance,
		Conformant: (f.DraftOK == nil || *f.DraftOK) && (f.RFC8613OK == nil || *f.RFC8613OK),
		Params: Params{
			Group: f.Type == "group-oscore",
			AEAD:  a.AEAD, HKDF: a.HKDF, GroupEnc: a.GroupEnc, Signature: a.Signature, KeyAgreement: a.KeyAgreement,
			MasterSecret: c.MasterSecret, MasterSalt: c.MasterSalt, IDContext: c.IDContext, GMCredential: c.GMCred,
			CommonIV: f.Derived.CommonIV.Value, SignatureEncryptionKey: f.Derived.SEKey.Value,
		},
	}
	four, err := elements(f.Elements)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	x.Params.FourElements = four
	for _, m := range f.Members {
		x.Params.Members = append(x.Params.Members, Member{
			Name: m.Name, ID: m.SenderID, PrivateKey: m.PrivateKey, Credential: m.AuthCred,
			SenderKey: f.Derived.SenderKeys[m.Name].Value,
		})
	}
	if !x.Params.Group {
		x.Params.Members = []Member{
			{Name: "client", ID: c.ClientID, SenderKey: f.Derived.ClientKey.Value},
			{Name: "server", ID: c.ServerID, SenderKey: f.Derived.ServerKey.Value},
		}
	}
	for _, p := range f.Derived.Pairwise {
		x.Params.Pairwise = append(x.Params.Pairwise, PairwiseKey{From: p.From, To: p.To, SharedSecret: p.SharedSecret, Key: p.Key.Value})
	}
	for i, m := range f.Messages {
		if m.Kind != "request" && m.Kind != "response" {
			return nil, fmt.Errorf("%s: message %d is of kind %q", f.Name, i, m.Kind)
		}
		if m.Mode == "" && !x.Params.Group {
			m.Mode = "plain"
		}
		if m.HasPIV != (m.Seq != nil) {
			return nil, fmt.Errorf("%s: message %d contradicts itself about its partial iv", f.Name, i)
		}
		x.Messages = append(x.Messages, Message{
			Request: m.Kind == "request", Mode: m.Mode, From: m.From, To: m.To, Seq: m.Seq,
			Unprotected: m.Unprotected, Protected: m.Protected, OuterCodeDeviates: len(m.Deviation) > 0,
			Option: m.Option, Plaintext: m.Plaintext, ExternalAAD: m.ExternalAAD, AAD: m.AAD, Nonce: m.Nonce, Key: m.Key,
			Ciphertext: m.Ciphertext, Countersign: m.Countersign, Signature: m.Signature,
			Keystream: m.Keystream.Value, KeystreamInfo: m.Keystream.Info,
		})
	}
	return x, nil
}

// elements reads countersign_structure_elements, 5 when absent.
func elements(n *int) (four bool, err error) {
	if n == nil || *n == 5 {
		return false, nil
	}
	if *n == 4 {
		return true, nil
	}
	return false, fmt.Errorf("countersign structure of %d elements", *n)
}
