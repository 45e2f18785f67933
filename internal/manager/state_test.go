package manager

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestGroupMachine(t *testing.T) {
	t.Parallel()
	legal := map[[2]uint8]GroupState{
		{uint8(GroupInactive), uint8(EventActivate)}: GroupActive, {uint8(GroupActive), uint8(EventDeactivate)}: GroupInactive,
		{uint8(GroupInactive), uint8(EventDelete)}: GroupDeleting, {uint8(GroupDeleting), uint8(EventDeleted)}: GroupGone,
	}
	for s := GroupState(0); s <= GroupGone+1; s++ {
		for e := GroupEvent(0); e <= EventDeleted+1; e++ {
			got, err := s.Next(e)
			want, ok := legal[[2]uint8{uint8(s), uint8(e)}]
			if ok != (err == nil) || (ok && got != want) || (!ok && got != s) {
				t.Errorf("%v, %v: %v %v", s, e, got, err)
			}
		}
	}
}

func TestMemberMachine(t *testing.T) {
	t.Parallel()
	legal := map[[2]uint8]MemberState{
		{uint8(MemberActive), uint8(EventRejoin)}: MemberActive, {uint8(MemberActive), uint8(EventLeave)}: MemberGone,
		{uint8(MemberActive), uint8(EventEvict)}: MemberEvicted, {uint8(MemberEvicted), uint8(EventNoticed)}: MemberGone,
	}
	for s := MemberState(0); s <= MemberGone+1; s++ {
		for e := MemberEvent(0); e <= EventNoticed+1; e++ {
			got, err := s.Next(e)
			want, ok := legal[[2]uint8{uint8(s), uint8(e)}]
			if ok != (err == nil) || (ok && got != want) {
				t.Errorf("%v, %d: %v %v", s, e, got, err)
			}
		}
	}
}

// TestDrawings compares the drawings in docs/architecture.md with those beside the code.
func TestDrawings(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, states := range map[string][]fmt.Stringer{
		"groupstate.go": {GroupInactive, GroupActive, GroupDeleting}, "memberstate.go": {MemberActive, MemberEvicted, MemberGone},
		"stage.go": {StageWaiting, StageSent, StageAcked, StageFetched, StageConfirmed}, "windows.go": nil,
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		drawing := ""
		for line := range strings.Lines(string(source)) {
			if text, ok := strings.CutPrefix(line, "//\t"); ok {
				drawing += text
			} else if strings.Contains(drawing, "▶") {
				break
			} else {
				drawing = ""
			}
		}
		if drawing == "" || !strings.Contains(string(page), "```\n"+drawing+"```") {
			t.Errorf("the drawing of %s is not in docs/architecture.md:\n%s", file, drawing)
		}
		for _, s := range states {
			if !strings.Contains(strings.ToLower(drawing), s.String()) {
				t.Errorf("%s: %v is not drawn", file, s)
			}
		}
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	for from := StageWaiting; from <= StageConfirmed; from++ {
		for to := StageWaiting; to <= StageConfirmed; to++ {
			if got := from.Advance(to); got != from && got != to {
				t.Errorf("%v, %v: %v", from, to, got)
			}
			if from == StageConfirmed && from.Advance(to) != StageConfirmed {
				t.Errorf("confirmed goes back to %v", to)
			}
		}
	}
}

func TestNamesOfEnums(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if s := k.String(); s == "" || strings.Contains(s, "(") || seen[s] {
			t.Errorf("kind %d: %q", k, s)
		}
		seen[k.String()] = true
	}
	for _, c := range Causes() {
		if s := c.String(); s == "" || strings.Contains(s, "(") {
			t.Errorf("cause %d: %q", c, s)
		}
	}
	if Kind(200).String() != "kind(200)" || Cause(200).String() != "cause(200)" {
		t.Error("unknown values")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("planted")
	err := fmt.Errorf("doing: %w", fault(KindProof, cause, "no"))
	if KindOf(err) != KindProof || !errors.Is(err, cause) || !strings.Contains(err.Error(), "no") {
		t.Fatal(err)
	}
	if KindOf(cause) != KindInternal {
		t.Fatal("a foreign error")
	}
}

// Without randomness nothing is made.
func TestNoRandomness(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	gid := w.info("g1").Gid
	w.Service.rand = iotest.ErrReader(errors.New("planted"))
	_, err := w.Rekey(t.Context(), "g1", CauseOperator)
	wantKind(t, err, KindInternal)
	if g := w.info("g1"); g.Version != 0 || string(g.Gid) != string(gid) {
		t.Fatalf("%+v", g)
	}
	_, err = w.CreateGroup(t.Context(), GroupSpec{Name: "g2"})
	wantKind(t, err, KindInternal)
}
