package coap

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/manager"
)

func TestEveryKindHasOneAnswer(t *testing.T) {
	t.Parallel()
	seen := map[groupcomm.ErrorID]manager.Kind{}
	for _, k := range manager.Kinds() {
		a, ok := kindAnswer(k)
		if !ok {
			t.Errorf("%v is not mapped", k)
		}
		if a.code < codes.BadRequest {
			t.Errorf("%v is no error: %v", k, a.code)
		}
		if a.id == noID {
			continue
		}
		if other, twice := seen[a.id]; twice {
			t.Errorf("%v and %v have one error id", k, other)
		}
		seen[a.id] = k
	}
	t.Run("KG-ERR-10,KG-ERR-11,KO-PAR-06 error ids and codes", func(t *testing.T) {
		for id, code := range map[groupcomm.ErrorID]codes.Code{
			0: codes.Forbidden, 1: codes.BadRequest, 2: codes.BadRequest, 3: codes.BadRequest, 4: codes.ServiceUnavailable,
			5: codes.NotFound, 6: codes.NotFound, 7: codes.BadRequest, 8: codes.Forbidden, 9: codes.ServiceUnavailable,
			10: codes.BadRequest, 11: codes.ServiceUnavailable, 12: codes.ServiceUnavailable,
		} {
			k, ok := seen[id]
			if a, _ := kindAnswer(k); !ok || a.code != code {
				t.Errorf("error id %d: %v", id, a)
			}
		}
	})
	if _, ok := kindAnswer(manager.Kind(250)); ok {
		t.Error("an unknown kind is mapped")
	}
}
