// Package groupcomm holds the messages between the members of OSCORE groups and their Group Manager: the wire objects of
// RFC 9594 (Key Provisioning for Group Communication) as draft-ietf-ace-key-groupcomm-oscore-21 fills them in.
//
// Every object has Marshal and a Parse function; the media type is application/ace-groupcomm+cbor (Content-Format 261) unless
// the object says otherwise. Parsers are strict about what they know and skip what they do not (RFC 9594, Section 4.1.2);
// encoders are deterministic. Byte-slice fields distinguish absent (nil) from empty.
//
// What each exchange carries:
//
//	POST  authz-info            [SignInfo], [ECDHInfo], [KDCDHCred] in the maps of package ace
//	FETCH /ace-group            [GidsRequest]          -> [GidsResponse]
//	POST  /ace-group/G          [JoinRequest]          -> [JoinResponse], or 4.00 with [JoinInfo]
//	GET   /ace-group/G          -                      -> [KeyResponse]
//	FETCH /ace-group/G/creds    [CredsRequest]         -> [CredsResponse]
//	GET   /ace-group/G/creds    -                      -> [CredsResponse]
//	GET   /ace-group/G/kdc-cred -                      -> [KDCCred]
//	FETCH /ace-group/G/kdc-cred [KDCCredRequest]       -> [KDCCred]
//	GET   /ace-group/G/policies -                      -> [PoliciesResponse]
//	GET   /ace-group/G/num      -                      -> [MarshalNum]
//	GET   /ace-group/G/active   -                      -> [MarshalActive]
//	GET   /ace-group/G/verif-data                      -> [KeyResponse] with SignatureEncryptionKey
//	FETCH /ace-group/G/stale-sids  [MarshalNum]        -> [MarshalStaleSIDs]
//	GET   /ace-group/G/nodes/N  -                      -> [KeyResponse]
//	POST  /ace-group/G/nodes/N  -                      -> [SenderIDResponse], or [RekeyMessage]
//	POST  /ace-group/G/nodes/N/cred [CredentialUpdate] -> -
//	POST  control_uri           [RekeyMessage]         -> -
//
// A result that is empty is the byte [EmptyResult]. Errors with an identifier travel as [Problem].
//
// Proofs of possession are in pop.go and evidence.go: [ClientPoP] and [KDCPoP] give the input, [SignEvidence] and
// [MACEvidence] the evidence, [VerifySignature] and [VerifyMAC] check it.
package groupcomm
