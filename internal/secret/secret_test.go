package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNothingPrintsTheBytes(t *testing.T) {
	t.Parallel()
	key := Bytes("\x01\x02top-secret-key")
	inside := struct {
		Name string
		Key  Bytes
	}{"lamp", key}

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", key)
	var jsonLog bytes.Buffer
	slog.New(slog.NewJSONHandler(&jsonLog, nil)).Info("key", "in", inside)
	js, err := json.Marshal(inside)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"%v": fmt.Sprintf("%v", key), "%s": fmt.Sprintf("%s", key), "%q": fmt.Sprintf("%q", key),
		"%x": fmt.Sprintf("%x", key), "%X": fmt.Sprintf("%X", key), "%d": fmt.Sprintf("%d", key),
		"%#v": fmt.Sprintf("%#v", key), "String": key.String(), "GoString": key.GoString(),
		"struct %v": fmt.Sprintf("%v", inside), "struct %+v": fmt.Sprintf("%+v", inside), "struct %#v": fmt.Sprintf("%#v", inside),
		"slog text": log.String(), "slog json": jsonLog.String(), "json": string(js), "text": string(text),
	}
	for how, s := range shown {
		t.Run(how, func(t *testing.T) {
			if !strings.Contains(s, "[redacted]") {
				t.Errorf("%q does not say that it was redacted", s)
			}
			for _, leak := range []string{"top-secret", "746f70", "746F70", "116 111 112", "dG9wL", "0x74", "AQJ0b3"} {
				if strings.Contains(s, leak) {
					t.Errorf("%q shows the key", s)
				}
			}
		})
	}
}

func TestEqualCloneWipe(t *testing.T) {
	t.Parallel()
	a := Bytes{1, 2, 3}
	c := a.Clone()
	if !a.Equal(c) || a.Equal([]byte{1, 2}) || a.Equal([]byte{1, 2, 4}) || a.Equal(nil) {
		t.Error("Equal is wrong")
	}
	a.Wipe()
	if !a.Equal([]byte{0, 0, 0}) {
		t.Error("Wipe left bytes")
	}
	if !c.Equal([]byte{1, 2, 3}) {
		t.Error("Clone shares memory")
	}
	if Bytes(nil).Clone() != nil {
		t.Error("a clone of an absent secret is not absent")
	}
	if e := (Bytes{}).Clone(); e == nil {
		t.Error("a clone of an empty secret is absent")
	}
}
