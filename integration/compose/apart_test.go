package compose

import "testing"

func TestServersApart(t *testing.T) {
	t.Parallel()
	s := start(t, wanted(t), "docker-compose.apart.yml", 31)
	s.run("up", "-d", "authserver", "groupmanager")
	s.healthy("authserver")
	s.healthy("groupmanager")
	uri := "coap://" + s.net + ".3:5683"
	s.beside("authserver", "rs", "enroll", "gm1", "--uri", uri, "--file", "/enrolments/gm1.json")
	s.operator("as", "add", "/enrolments/gm1.json")
	s.operator("group", "create", "lights")
	for device, roles := range map[string]string{"switch": "requester", "lamp1": "responder", "lamp2": "responder"} {
		s.beside("authserver", "device", "enroll", device, "--group", "lights:"+roles, "--file", "/enrolments/"+device+".json")
	}
	s.run("up", "-d")
	s.await("three members", func() bool { n, _ := s.members(); return n == 3 })
	s.serving("lamp1", "lamp2")
	if answers := s.ask(2); answers["lamp1"].Mode != "group" || answers["lamp2"].Code != "2.05" {
		t.Errorf("answers %+v", answers)
	}

	s.run("restart", "authserver")
	s.healthy("authserver")
	s.beside("authserver", "rs", "rotate", "gm1", "--file", "/enrolments/rotated.json")
	s.operator("as", "rotate", "/enrolments/rotated.json")
	s.beside("authserver", "device", "revoke", "lamp2")
	s.await("two members", func() bool { n, _ := s.members(); return n == 2 })
	s.await("lamp1 holds the newest keys", func() bool { _, n := s.members(); return n >= 1 })
	if answers := s.ask(1); len(answers) != 1 || answers["lamp1"].Version == 0 {
		t.Errorf("answers after the revocation: %+v", answers)
	}
}
