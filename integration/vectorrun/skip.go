package vectorrun

import (
	"fmt"
	"strings"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/integration/vectorfile"
)

// cbc are the algorithms that draft-ietf-core-oscore-groupcomm-28, Section
// 2.1.7, forbids: A128CBC, A192CBC, A256CBC.
var cbc = map[vectorfile.Number]bool{-65531: true, -65530: true, -65529: true}

// unsupported says why nothing under these parameters can run, or "".
func unsupported(p *vectorfile.Params) string {
	switch {
	case cbc[p.GroupEnc]:
		return fmt.Sprintf("group encryption algorithm %d is AES-CBC, which is forbidden", p.GroupEnc)
	case p.KeyAgreement != 0 && cose.Algorithm(p.KeyAgreement).IsSignature():
		return fmt.Sprintf("pairwise key agreement algorithm %d is a signature algorithm", p.KeyAgreement)
	}
	return ""
}

// unsupportedCase says why a case cannot run, or "".
func unsupportedCase(c *vectorfile.Case) string {
	if why := unsupported(c.Params); why != "" {
		return why
	}
	if strings.HasPrefix(c.Section, "cacheable") || c.RequestMode == "det" {
		return "deterministic requests are not built yet"
	}
	return ""
}
