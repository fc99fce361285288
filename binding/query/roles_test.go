package query

import (
	"os"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	own := uint32(os.Geteuid())
	some := Roles{
		Verify: Principals{UIDs: []uint32{33}},
		Read:   Principals{GIDs: []uint32{4}},
		Admin:  Principals{UIDs: []uint32{1000}},
	}
	for _, tt := range []struct {
		claim string
		roles Roles
		who   peer
		want  role
	}{
		{"nobody named: the daemon's user has all", Roles{}, peer{uid: own}, roleAdmin},
		{"nobody named: root has all", Roles{}, peer{uid: 0}, roleAdmin},
		{"nobody named: others have nothing", Roles{}, peer{uid: own + 1}, roleNone},
		{"somebody named: root has no more than was given", some, peer{uid: 0}, roleNone},
		{"by user", some, peer{uid: 33, gid: 33}, roleVerify},
		{"by group", some, peer{uid: 34, gid: 4}, roleRead},
		{"by supplementary group", some, peer{uid: 34, gid: 34, groups: []uint32{7, 4}}, roleRead},
		{"the highest counts", some, peer{uid: 1000, gid: 4}, roleAdmin},
		{"a uid is no gid", some, peer{uid: 4, gid: 33}, roleNone},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if got := tt.roles.of(tt.who); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestEveryCommandAsksForItsRole goes through the whole table.
func TestEveryCommandAsksForItsRole(t *testing.T) {
	want := map[role]string{
		roleNone:   "PING HELLO AUTH SELECT CLIENT CONFIG COMMAND QUIT",
		roleVerify: "VERIFY",
		roleRead:   "LOOKUP GET MGET SESSIONS NODES SITES DIRECTORY STATUS INFO TRACE WATCH",
		roleAdmin:  "RELEASE",
	}
	for needs, names := range want {
		for _, name := range strings.Fields(names) {
			for _, has := range []role{roleNone, roleVerify, roleRead, roleAdmin} {
				s, c, _ := offline(t, newFake(1))
				c.roles, c.allowed = s.roles.Load(), has
				s.dispatch(c, [][]byte{[]byte(name), []byte("x"), []byte("x"), []byte("x"), []byte("x")})
				refused := strings.HasPrefix(string(c.out.b), "-NOPERM "+name+" needs the role "+needs.String())
				if refused != (has < needs) {
					t.Errorf("%s by the role %v: %s", name, has, c.out.b)
				}
			}
		}
	}
	s, _, _ := offline(t, newFake(1))
	if n := len(strings.Fields(strings.Join([]string{want[0], want[1], want[2], want[3]}, " "))); n != len(s.table) {
		t.Errorf("the test knows %d commands, the table %d", n, len(s.table))
	}
}

func TestRolesOfOpenConnectionsFollowAReload(t *testing.T) {
	s, path := start(t, newFake(10), fastClock,
		func(s *Server) { s.peerOf = func(int) (peer, error) { return peer{uid: 33, gid: 33, pid: 1}, nil } },
		func(s *Server) { s.SetRoles(Roles{Read: Principals{UIDs: []uint32{33}}}) })
	c, watching := dialRaw(t, path), dialRaw(t, path)
	if got := c.ask("GET 10.45.0.7"); got != "+491700000007" {
		t.Fatalf("got %q", got)
	}
	if got := c.ask("RELEASE 10.45.0.7 REASON x"); got != "-NOPERM RELEASE needs the role admin and uid 33 has the role read: ask the operator to add it to query.roles" {
		t.Errorf("got %q", got)
	}
	if got := watching.ask("WATCH"); got != "OK" {
		t.Fatalf("got %q", got)
	}
	s.SetRoles(Roles{Verify: Principals{UIDs: []uint32{33}}})
	if got := c.ask("GET 10.45.0.7"); !strings.HasPrefix(got, "-NOPERM GET needs the role read and uid 33 has the role verify") {
		t.Errorf("got %q", got)
	}
	if got := c.ask("VERIFY 10.45.0.7 +491700000007"); got != "*[match bound 1500 8]" {
		t.Errorf("got %q", got)
	}
	if got := flat(watching.next()); !strings.HasPrefix(got, "-NOPERM the role to watch was taken away") || !watching.ended() {
		t.Errorf("the watcher is told %q", got)
	}
}

func TestAPeerThatTheKernelDoesNotNameIsRefused(t *testing.T) {
	s, path := start(t, newFake(1), func(s *Server) {
		s.peerOf = func(int) (peer, error) { return peer{}, os.ErrInvalid }
	})
	if !dialRaw(t, path).ended() {
		t.Error("it is connected")
	}
	if s.closed[closedUnknown].Load() != 1 {
		t.Error("it was not counted")
	}
}
