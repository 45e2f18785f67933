package member

import (
	"context"
	"fmt"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// evidence proves possession of the device's private key: a signature, or in a
// group without signatures a MAC under a key agreed with the Group Manager
// (ace-key-groupcomm-oscore, Section 6.1).
func evidence(id *identity, info *groupcomm.JoinInfo, input []byte) ([]byte, error) {
	if info.Sign != nil {
		return groupcomm.SignEvidence(id.key, info.Sign.Algorithm, input)
	}
	gm, err := cose.ParseCredential(info.KDCDH.CredentialFormat, info.KDCDH.Credential)
	if err != nil {
		return nil, err
	}
	return groupcomm.MACEvidence(id.key, gm.PublicKey(), input)
}

// check verifies the Group Manager's proof of possession, and that what it gave
// fits what the device asked with (ace-key-groupcomm-oscore, Section 6.4).
func (j *joined) check(ctx context.Context, g *Group) error {
	k := j.resp.Key
	if k.CredentialFormat != cose.FormatCCS {
		return fmt.Errorf("%w: credentials of format %d", ErrUnsupported, k.CredentialFormat)
	}
	if s := j.resp.RekeyingScheme; s != groupcomm.SchemePointToPoint {
		return fmt.Errorf("%w: rekeying scheme %d", ErrUnsupported, s)
	}
	if !g.roles().MonitorOnly() {
		if crv, err := curveOf(k); err != nil || crv != j.curve {
			return fmt.Errorf("%w: the group's keys are on another curve than it said before", ErrManager)
		}
	}
	return g.checkManager(ctx, j.resp.KDC, k, j.nonce)
}

// checkManager verifies that the Group Manager has the private key of the
// credential it gives.
func (g *Group) checkManager(ctx context.Context, c groupcomm.KDCCred, k groupcomm.KeyMaterial, nonce []byte) error {
	cred, err := cose.ParseCredential(k.CredentialFormat, c.Credential)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrManager, err)
	}
	input := groupcomm.KDCPoP(nonce, c.Nonce)
	if k.UsesGroupMode() {
		err = groupcomm.VerifySignature(cred.PublicKey(), k.Signature, input, c.Evidence)
	} else {
		var crv cose.Curve
		if crv, err = curveOf(k); err != nil {
			return err
		}
		rec := g.record()
		id, ierr := g.keyPair(ctx, &rec, crv)
		if ierr != nil {
			return ierr
		}
		err = groupcomm.VerifyMAC(id.key, cred.PublicKey(), input, c.Evidence)
	}
	if err != nil {
		return fmt.Errorf("%w: it did not prove its identity: %w", ErrManager, err)
	}
	return nil
}
