package member

import (
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// joinInfo is what the answer to the token upload said about a group; nothing
// if the token covered the group only later.
func (a *association) joinInfo(group string) (*groupcomm.JoinInfo, error) {
	j := &groupcomm.JoinInfo{}
	var err error
	if j.Sign, err = about(a.info.SignInfo, groupcomm.ParseSignInfo, func(e groupcomm.SignInfo) []string { return e.Groups }, group); err != nil {
		return nil, err
	}
	if j.ECDH, err = about(a.info.ECDHInfo, groupcomm.ParseECDHInfo, func(e groupcomm.ECDHInfo) []string { return e.Groups }, group); err != nil {
		return nil, err
	}
	j.KDCDH, err = about(a.info.KDCDHCreds, groupcomm.ParseKDCDHCred, func(e groupcomm.KDCDHCred) []string { return e.Groups }, group)
	return j, err
}

// about parses a list and finds the entry of a group; nil if there is none.
func about[T any](raw []byte, parse func([]byte) ([]T, error), groups func(T) []string, group string) (*T, error) {
	if raw == nil {
		return nil, nil
	}
	list, err := parse(raw)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if slices.Contains(groups(list[i]), group) {
			return &list[i], nil
		}
	}
	return nil, nil
}

// infoCurve is the curve that the group's keys are on.
func infoCurve(i *groupcomm.JoinInfo) (cose.Curve, error) {
	if i.Sign != nil {
		if c, ok := i.Sign.Params.Curve(); ok {
			return c, nil
		}
		return 0, fmt.Errorf("%w: sign_info names no curve", ErrUnsupported)
	}
	if i.ECDH != nil {
		if c, ok := i.ECDH.Params.Curve(); ok {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%w: ecdh_info names no curve", ErrUnsupported)
}
