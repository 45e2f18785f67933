package vectorfile

// File is what one file holds.
type File struct {
	Exchanges []*Exchange
	Cases     []*Case
}

// Params is what the endpoints of an exchange share.
type Params struct {
	Group bool // Group OSCORE; else RFC 8613

	AEAD, HKDF                        Number
	GroupEnc, Signature, KeyAgreement Number // Group OSCORE; 0 is unset
	MasterSecret, MasterSalt          Hex
	IDContext                         Hex  // the Gid in Group OSCORE; nil is absent
	GMCredential                      Hex  // Group OSCORE
	FourElements                      bool // Countersign_structure of 4 elements, not 5
	CommonIV, SignatureEncryptionKey  Hex  // derived; nil if not stated
	Members                           []Member
	Pairwise                          []PairwiseKey
	DeterministicClient               Hex // its Sender ID, if there is one
}

// Member is one endpoint.
type Member struct {
	Name                   string
	ID                     Hex
	PrivateKey, Credential Hex // Group OSCORE
	SenderKey              Hex // derived; nil if not stated
}

// PairwiseKey is what two members derive for one direction.
type PairwiseKey struct {
	From, To          string
	SharedSecret, Key Hex
}

// Member finds a member by name; nil if there is none.
func (p *Params) Member(name string) *Member {
	for i := range p.Members {
		if p.Members[i].Name == name {
			return &p.Members[i]
		}
	}
	return nil
}

// Exchange is one or more requests, each followed by its responses.
type Exchange struct {
	Name, Source string
	Params       Params
	// Deviations says, in the file's own words, where the producer does not
	// conform; only then Conformant is false.
	Conformant bool
	Deviations []string
	Messages   []Message
}

// Message is one protected message with the intermediate values that the file
// states; those it does not state are nil.
type Message struct {
	Request  bool
	Mode     string // "plain", "group", "pairwise" or "det"
	From, To string // names of members; To is empty if it has no single target
	// Seq is the Sender Sequence Number of a message that carries a Partial IV.
	Seq *uint64
	// Unprotected and Protected are whole CoAP-over-UDP messages.
	Unprotected, Protected Hex
	OuterCodeDeviates      bool // the Outer Code is not to be compared

	Option, Plaintext, ExternalAAD, AAD, Nonce, Key, Ciphertext Hex
	Countersign, Signature, Keystream, KeystreamInfo            Hex
}

// Case is a message that its receiver has to accept or to reject.
type Case struct {
	Name, Reason, Section string
	Params                *Params
	Receiver              string // name of a member
	Response              bool   // a response, to Request
	Message               Hex
	// Request and RequestMode are the receiver's own request that Message
	// responds to.
	Request     Hex
	RequestMode string
	// ReceivedBefore are messages of the same kind that were received before.
	ReceivedBefore []Hex
	Accept         bool
}
