package groupcomm

import (
	"time"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Expiry says until when keying material may be used (RFC 9594, Section 4.3.1).
type Expiry struct {
	At uint64 // exp: seconds since 1970-01-01 UTC; 0 if absent
	In uint64 // exi: seconds from the moment the message was made; always sent
}

// ExpiryAt returns the expiry of material that ends at end, in a message made at now. Fractions of seconds shorten it.
func ExpiryAt(end, now time.Time) Expiry {
	e := Expiry{In: seconds(end.Sub(now))}
	if s := end.Unix(); s > 0 {
		e.At = uint64(s)
	}
	return e
}

// Until returns when the material ends for a receiver that took the message in at received: by exp if the receiver's clock is
// synchronised to UTC and the message has it, else by exi.
func (e Expiry) Until(received time.Time, synchronised bool) time.Time {
	const most = 1 << 40 // some 34 000 years: keeps the arithmetic of package time in range
	if synchronised && e.At != 0 {
		return time.Unix(int64(min(e.At, most)), 0).UTC()
	}
	return received.Add(time.Duration(min(e.In, 1<<33)) * time.Second)
}

func (e Expiry) write(w *wire.Writer) {
	if e.At != 0 {
		w.Uint(paramExp, e.At)
	}
	w.Uint(paramExi, e.In)
}

// readExpiry requires exi and takes exp if it is there.
func readExpiry(r *wire.Reader) Expiry {
	r.Require(paramExi)
	var e Expiry
	e.At, _ = r.Uint(paramExp)
	e.In, _ = r.Uint(paramExi)
	return e
}
