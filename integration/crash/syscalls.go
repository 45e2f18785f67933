package crash

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// syscalls is what strace -f -xx wrote, as moments: the beginning and the end of
// each call, in the order in which they happened.
type syscalls []moment

type moment struct {
	call  string
	begun bool // this is, or includes, the beginning
	ended bool // this is, or includes, the end
	args  string
}

// traced are the calls that tell whether an answer waited for the disk.
const traced = "pwrite64,fdatasync,fsync,sendto,sendmsg,sendmmsg,recvfrom,recvmsg"

var (
	wholeCall   = regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += `)
	beginOfCall = regexp.MustCompile(`^\d+ +(\w+)\((.*) <unfinished \.\.\.>$`)
	endOfCall   = regexp.MustCompile(`^\d+ +<\.\.\. (\w+) resumed>(.*)$`)
)

func parseSyscalls(r io.Reader) (syscalls, error) {
	var out syscalls
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		if m := beginOfCall.FindStringSubmatch(line); m != nil {
			out = append(out, moment{m[1], true, false, m[2]})
		} else if m := endOfCall.FindStringSubmatch(line); m != nil {
			out = append(out, moment{m[1], false, true, m[2]})
		} else if m := wholeCall.FindStringSubmatch(line); m != nil {
			out = append(out, moment{m[1], true, true, m[2]})
		}
	}
	return out, in.Err()
}

// holds reports whether the arguments show a datagram.
func (m moment) holds(datagram []byte) bool {
	var b strings.Builder
	for _, x := range datagram {
		b.WriteString(`\x` + hex.EncodeToString([]byte{x}))
	}
	return strings.Contains(m.args, `"`+b.String()+`"`)
}

// waited checks one exchange: between the end of the receiving of the request and
// the beginning of the sending of the response something was written, and
// everything written meanwhile was on the disk: a sync that began after it ended.
func (s syscalls) waited(request, response []byte) error {
	received, dirty, syncing, syncs := false, false, false, 0
	for _, m := range s {
		switch {
		case strings.HasPrefix(m.call, "recv") && m.ended && m.holds(request):
			received, dirty, syncs = true, false, 0 // the newest copy, had it to be retransmitted
		case !received:
		case m.call == "pwrite64":
			dirty, syncing = true, false
		case m.call == "fdatasync" || m.call == "fsync":
			if m.begun {
				syncing = true
			}
			if m.ended && syncing {
				syncing, dirty = false, false
				syncs++
			}
		case strings.HasPrefix(m.call, "send") && m.begun && m.holds(response):
			switch {
			case syncs == 0:
				return fmt.Errorf("the response left and nothing was synced to the disk")
			case dirty:
				return fmt.Errorf("the response left while something was written and not synced")
			}
			return nil
		}
	}
	return fmt.Errorf("the exchange is not there (request seen: %v)", received)
}
