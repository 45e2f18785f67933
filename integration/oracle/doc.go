// Package oracle decides whether recorded datagrams show a key and nonce that
// were used for two different ciphertexts. It knows all secrets, opens every
// OSCORE and Group OSCORE message that it is shown, and keeps a ledger.
//
//	o := oracle.New()
//	o.AddB2("switch", enrolment.AS.Params())     // the association with the Authorization Server
//	o.AddAssociation("switch", params)           // one with the Group Manager
//	o.AddGroup(groupParams, credentials)         // one version of a group's keying material
//	opened, err := o.Look(link, oracle.FromDevice, datagram, "run 7")
//
// The keys are derived here from the inputs, apart from the code under test as
// far as that is possible; what the messages say is given back, so that a test
// can judge what was really handed out, also to a device that never got it.
//
// Messages are to be shown in the order in which they travelled: a response is
// opened by what is known of its request.
package oracle
