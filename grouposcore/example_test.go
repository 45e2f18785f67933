package grouposcore_test

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// Two members with static keys: a switch asks a lamp. In a real group the
// parameters and credentials come from the Group Manager, and the sequence
// numbers from a store.
func Example() {
	params := grouposcore.Params{
		Gid: []byte{1}, MasterSecret: secret.Bytes("sixteen bytes it"), GMCredential: []byte("the Group Manager's"),
		AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
	}
	known := new(grouposcore.StaticCredentials)
	join := func(name string, id byte) *grouposcore.Group {
		key, _ := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
		cred, _ := cose.NewCCS(name, key.Public())
		known.Set([]byte{id}, cred)
		self := grouposcore.Identity{SenderID: []byte{id}, Credential: cred, PrivateKey: key}
		ctx, err := grouposcore.NewContext(params, self, oscore.NewEphemeralSequence(), known)
		if err != nil {
			panic(err)
		}
		return grouposcore.NewGroup(ctx)
	}
	wall, lamp := join("switch", 1), join("lamp", 2)

	request, exchange, _ := wall.ProtectRequest(message.Message{Code: codes.PUT, Payload: []byte("on")},
		grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
	got, lampExchange, from, _ := lamp.UnprotectRequest(request, time.Now())
	fmt.Printf("the lamp got %q from the %s\n", got.Payload, from.Credential.Subject())

	response, _ := lamp.ProtectResponse(message.Message{Code: codes.Changed}, lampExchange,
		grouposcore.ResponseOptions{Mode: grouposcore.PairwiseMode})
	answer, from, _ := wall.UnprotectResponse(response, exchange, time.Now())
	fmt.Printf("the %s answered %v\n", from.Credential.Subject(), answer.Code)
	// Output:
	// the lamp got "on" from the switch
	// the lamp answered Changed
}

// What one member does, with static keys, in twenty lines.
func ExampleGroup() {
	key, _ := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	cred, _ := cose.NewCCS("switch", key.Public())
	peers, send := theLamp(cred) // credentials by Sender ID, and the way to the lamp
	ctx, err := grouposcore.NewContext(grouposcore.Params{
		Gid: []byte{1}, MasterSecret: secret.Bytes("sixteen bytes it"), GMCredential: []byte("the Group Manager's"),
		AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
	}, grouposcore.Identity{SenderID: []byte{1}, Credential: cred, PrivateKey: key}, oscore.NewEphemeralSequence(), peers)
	if err != nil {
		panic(err)
	}
	group := grouposcore.NewGroup(ctx)
	request, exchange, _ := group.ProtectRequest(message.Message{Code: codes.PUT, Payload: []byte("on")},
		grouposcore.RequestOptions{Mode: grouposcore.GroupMode})
	answer, from, err := group.UnprotectResponse(send(request), exchange, time.Now())
	if err != nil {
		panic(err)
	}
	fmt.Println(from.Credential.Subject(), answer.Code)
	// Output: lamp Changed
}

// theLamp is the other member of the example.
func theLamp(wall *cose.Credential) (*grouposcore.StaticCredentials, func(message.Message) message.Message) {
	key, _ := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	cred, _ := cose.NewCCS("lamp", key.Public())
	known := new(grouposcore.StaticCredentials)
	known.Set([]byte{1}, wall)
	known.Set([]byte{2}, cred)
	ctx, err := grouposcore.NewContext(grouposcore.Params{
		Gid: []byte{1}, MasterSecret: secret.Bytes("sixteen bytes it"), GMCredential: []byte("the Group Manager's"),
		AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
	}, grouposcore.Identity{SenderID: []byte{2}, Credential: cred, PrivateKey: key}, oscore.NewEphemeralSequence(), known)
	if err != nil {
		panic(err)
	}
	return known, func(request message.Message) message.Message {
		_, exchange, _, err := ctx.UnprotectRequest(request)
		if err != nil {
			panic(err)
		}
		response, err := ctx.ProtectResponse(message.Message{Code: codes.Changed}, exchange, grouposcore.ResponseOptions{Mode: grouposcore.PairwiseMode})
		if err != nil {
			panic(err)
		}
		return response
	}
}
