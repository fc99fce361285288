package query

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

// offline is a server without a socket and a connection with every role.
func offline(t testing.TB, reg Registry) (*Server, *conn, [][]byte) {
	t.Helper()
	s := NewServer(Config{Socket: "unused", Version: "1.2.3"}, reg, discard())
	return s, &conn{id: 1, out: reply{b: make([]byte, 0, 1024)}}, make([][]byte, 0, maxArgs)
}

// exchange executes every complete request of data in order, as the loop and
// its workers do, and returns the reply to each.
func exchange(t testing.TB, s *Server, c *conn, data []byte) (replies []value) {
	t.Helper()
	var args [][]byte
	for !c.closing {
		var complete bool
		var err error
		args, data, complete, err = nextRequest(data, args)
		if err != nil || !complete {
			return replies
		}
		if len(args) == 0 {
			continue
		}
		c.out.b = c.out.b[:0]
		if cmd := s.dispatch(c, args); cmd != nil {
			cmd.slow(context.Background(), s, &c.out, &request{args: args, peer: c.peer, resp3: c.out.resp3})
		}
		r := bufio.NewReader(bytes.NewReader(c.out.b))
		v, err := readValue(r, maxDepth)
		if err != nil {
			t.Fatalf("%q: no reply can be read from %q: %v", args, c.out.b, err)
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Fatalf("%q: a second reply %q", args, rest)
		}
		replies = append(replies, v)
	}
	return replies
}

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

// doubtful is a registry with an address for every kind of doubt.
func doubtful() *fakeRegistry {
	f := newFake(100)
	doubt := func(addr string, v binding.Verdict, r binding.Reason) {
		f.answers[addrOf(addr)] = binding.Answer{Verdict: v, Reason: r, Version: 9}
	}
	doubt("10.99.0.1", binding.Unknown, binding.ReasonWarming)
	doubt("10.99.0.2", binding.Unknown, binding.ReasonOutOfPool)
	doubt("10.99.0.3", binding.Ambiguous, binding.ReasonDomainNeeded)
	doubt("10.45.0.90", binding.Stale, binding.ReasonNotIngesting)
	doubt("10.45.0.91", binding.Ambiguous, binding.ReasonConflict)
	doubt("10.45.0.92", binding.Unknown, binding.ReasonNoMSISDN)
	noNumber := f.held[addrOf("10.45.0.92")]
	noNumber.MSISDN = 0
	f.held[addrOf("10.45.0.92")] = noNumber
	f.traces = []binding.TraceEntry{{At: day, Kind: "session-start", Source: binding.SourceGx, Node: "pgw1.lab", Session: "s;1",
		Subscriber: held(7).Subscriber, Addrs: []binding.Address{held(7).Addr}, Domain: "internet", Time: day, Outcome: "applied"}}
	f.nodes = []binding.Node{{Name: "pgw1.lab", Owner: "dra", Also: []string{"10.0.0.1"}, Shared: true, Orphaned: true, OffsetKnown: true, Offset: -age, Source: binding.SourceGx, Up: true, Since: day, Heard: day, Restarts: 2, Sessions: 5, Events: 10}}
	return f
}

const map7 = "addr 10.45.0.7 msisdn +491700000007 imsi 001010000000007 imei  apn internet rat eutran domain internet node pgw1.lab" +
	" sources *[gx radius] state bound reason bound since 2026-01-31T11:00:00.000Z seen 2026-01-31T12:00:00.000Z" +
	" expires 2026-02-01T12:00:00.000Z version 8"

// sha7 is the hash of the number behind 10.45.0.7, as CAMARA has it.
func sha7() string { return fmt.Sprintf("%x", sha256.Sum256([]byte("+491700000007"))) }

func TestReplies(t *testing.T) {
	for _, tt := range []struct{ claim, ask, want string }{
		{"the holder's number matches", "VERIFY 10.45.0.7 +491700000007", "*[match bound 1500 8]"},
		{"its hash matches", "VERIFY 10.45.0.7 " + sha7(), "*[match bound 1500 8]"},
		{"its hash in capitals matches", "VERIFY 10.45.0.7 " + strings.ToUpper(sha7()), "*[match bound 1500 8]"},
		{"the hash of another number does not", "VERIFY 10.45.0.8 " + sha7(), "*[mismatch other-number 1500 9]"},
		{"names of commands and options have no case", "verify 10.45.0.7 +491700000007 port 80 Domain internet", "*[match bound 1500 8]"},
		{"another number is a mismatch", "VERIFY 10.45.0.7 +491700000008", "*[mismatch other-number 1500 8]"},
		{"an IPv4-mapped address is the IPv4 address", "VERIFY ::ffff:10.45.0.7 +491700000007", "*[match bound 1500 8]"},
		{"an address of nobody is unknown", "VERIFY 10.46.0.7 +491700000007", "*[unknown no-binding 0 0]"},
		{"another domain's address is unknown", "VERIFY 10.45.0.7 +491700000007 DOMAIN corp", "*[unknown no-binding 0 0]"},
		{"while the journal is loaded VERIFY does not fail", "VERIFY 10.99.0.1 +491700000007", "*[unknown warming 0 9]"},
		{"a doubt is a verdict, not an error", "VERIFY 10.45.0.91 +491700000091", "*[ambiguous conflict 0 9]"},
		{"a national number is refused", "VERIFY 10.45.0.7 01700000007", "-BADNUM a number is '+' with country code, 5 to 15 digits, or the SHA-256 of that as 64 hexadecimal digits"},
		{"a number without '+' is refused", "VERIFY 10.45.0.7 491700000007", "-BADNUM a number is '+' with country code, 5 to 15 digits, or the SHA-256 of that as 64 hexadecimal digits"},
		{"a hash that is none is refused", "VERIFY 10.45.0.7 " + strings.Repeat("g", 64), "-BADNUM a number is '+' with country code, 5 to 15 digits, or the SHA-256 of that as 64 hexadecimal digits"},
		{"a name is no address", "VERIFY example.org +491700000007", `-BADADDR "example.org" is not an IPv4 or IPv6 address without zone`},
		{"a zone is refused", "VERIFY fe80::1%eth0 +491700000007", `-BADADDR "fe80::1%eth0" is not an IPv4 or IPv6 address without zone`},
		{"an unknown option is named", "VERIFY 10.45.0.7 +491700000007 SPORT 80", `-ERR unknown option "SPORT"`},
		{"an option of another command is unknown", "VERIFY 10.45.0.7 +491700000007 LIMIT 80", `-ERR unknown option "LIMIT"`},
		{"an option needs its value", "VERIFY 10.45.0.7 +491700000007 PORT", `-ERR option "PORT" needs a value`},
		{"an option comes once", "VERIFY 10.45.0.7 +491700000007 PORT 1 PORT 2", `-ERR option "PORT" is there twice`},
		{"port 0 is none", "VERIFY 10.45.0.7 +491700000007 PORT 0", `-ERR PORT "0" is not a port (1 to 65535)`},
		{"port 65536 is none", "VERIFY 10.45.0.7 +491700000007 PORT 65536", `-ERR PORT "65536" is not a port (1 to 65535)`},
		{"too few arguments show the usage", "VERIFY 10.45.0.7", "-ERR wrong number of arguments: VERIFY addr number [PORT p] [DOMAIN d]"},

		{"LOOKUP gives every field", "LOOKUP 10.45.0.7", "*[" + map7 + "]"},
		{"LOOKUP of nobody is nil", "LOOKUP 10.46.0.7", "nil"},
		{"LOOKUP tells why it cannot say", "LOOKUP 10.99.0.1", "*[state unknown reason warming]"},
		{"LOOKUP tells of an address outside the pools", "LOOKUP 10.99.0.2", "*[state unknown reason out-of-pool]"},
		{"LOOKUP asks for the domain", "LOOKUP 10.99.0.3", "*[state ambiguous reason domain-needed]"},
		{"since AT or before is the answer", "LOOKUP 10.45.0.7 AT 2026-01-31T11:00:00Z", "*[" + map7 + "]"},
		{"AT before the binding has no history", "LOOKUP 10.45.0.7 AT 2026-01-31T10:59:59.999Z", "*[state unknown reason no-history]"},
		{"AT for a free address has no history", "LOOKUP 10.46.0.7 AT 2026-01-31T10:00:00Z", "*[state unknown reason no-history]"},
		{"AT does not hide that the journal is being loaded", "LOOKUP 10.99.0.1 AT 2026-01-31T10:00:00Z", "*[state unknown reason warming]"},
		{"AT in the future is refused", "LOOKUP 10.45.0.7 AT 2999-01-01T00:00:00Z", "-ERR AT is in the future"},
		{"AT is RFC 3339", "LOOKUP 10.45.0.7 AT yesterday", `-ERR AT "yesterday" is not a time like 2026-01-31T12:00:00Z`},

		{"GET gives the number with '+'", "GET 10.45.0.7", "+491700000007"},
		{"GET of nobody is nil", "GET 10.46.0.7", "nil"},
		{"GET in a conflict is nil", "GET 10.45.0.91", "nil"},
		{"GET of a stale binding is nil", "GET 10.45.0.90", "nil"},
		{"GET without a known number is nil", "GET 10.45.0.92", "nil"},
		{"GET while the journal is loaded is nil", "GET 10.99.0.1", "nil"},
		{"GET of what is no address is an error", "GET session:7", `-BADADDR "session:7" is not an IPv4 or IPv6 address without zone`},
		{"MGET never fails", "MGET 10.45.0.7 x 10.46.0.7 10.45.0.8", "*[+491700000007 nil nil +491700000008]"},

		{"SESSIONS by number", "SESSIONS msisdn +491700000007", "*[0 *[*[" + map7 + "]]]"},
		{"SESSIONS by IMSI", "sessions IMSI 001010000000007", "*[0 *[*[" + map7 + "]]]"},
		{"SESSIONS of nobody is empty", "SESSIONS imsi 001010000009999", "*[0 *[]]"},
		{"SESSIONS by what is no number", "SESSIONS msisdn 0170", "-BADNUM an MSISDN is '+' with country code, 5 to 15 digits"},
		{"SESSIONS by what is no IMSI", "SESSIONS imsi x", "-BADNUM an IMSI has 6 to 15 digits"},
		{"SESSIONS by something else", "SESSIONS colour red", `-ERR SESSIONS by "colour": choose msisdn, imsi, apn, node, domain or all`},
		{"SESSIONS needs a value", "SESSIONS apn", "-ERR SESSIONS APN needs a value"},
		{"LIMIT is positive", "SESSIONS all LIMIT 0", `-ERR LIMIT "0" is not a positive number`},
		{"a cursor is a number", "SESSIONS all CURSOR x", `-ERR CURSOR "x" is not a cursor of an earlier reply`},
		{"the Registry's error is passed on", "SESSIONS node broken", "-ERR sessions: index is torn"},

		{"SITES", "SITES", "*[*[name north followed 1 state current heard 2026-01-31T12:00:00.000Z complete 2026-01-31T12:00:00.000Z incarnation abc seq 9 applied 8 sessions 3 started 2026-01-31T12:00:00.000Z healthy 1 warming 0 ingesting 1 rows 3 snapshots 1 gaps 0 pools *[internet 10.1.0.0/16]]]"},
		{"DIRECTORY", "DIRECTORY", "*[near 3 found 2 none 1 dropped 0 waiting 4 last_us 1000 sources *[*[name file found 2 unknown 1 failed 0 rows 9 contradictory 0 read 2026-01-31T12:00:00.000Z problem ]]]"},
		{"DIRECTORY of a SIM", "DIRECTORY 001010000000007", "*[imsi 001010000000007 msisdn +491700000007 source file]"},
		{"DIRECTORY of a SIM without a number", "DIRECTORY 001010000000008", "*[imsi 001010000000008 msisdn  source ]"},
		{"DIRECTORY of what is no SIM", "DIRECTORY x", "-BADNUM DIRECTORY takes an IMSI of 6 to 15 digits"},
		{"NODES", "NODES", "*[*[name pgw1.lab owner dra also *[10.0.0.1] source gx up 1 since 2026-01-31T12:00:00.000Z heard 2026-01-31T12:00:00.000Z restart  restarts 2 sessions 5 events 10 observed 0 degraded  timeless 0 offset_known 1 offset_ms -1500 shared 1 orphaned 1 link *[]]]"},
		{"TRACE", "TRACE 10.45.0.7", "*[*[at 2026-01-31T12:00:00.000Z kind session-start source gx node pgw1.lab session s;1 msisdn +491700000007" +
			" imsi 001010000000007 imei  addrs *[10.45.0.7] domain internet time 2026-01-31T12:00:00.000Z outcome applied]]"},
		{"TRACE of what the Registry does not know", "TRACE nothing", "-ERR trace: neither a number nor an address"},
		{"TRACE of a long key", "TRACE " + strings.Repeat("1", 65), "-ERR TRACE takes a number, an IMSI or an address of at most 64 characters"},

		{"RELEASE works", "RELEASE 10.45.0.7 DOMAIN internet REASON \"wrong person\"", "OK"},
		{"RELEASE needs a reason", "RELEASE 10.45.0.7 DOMAIN internet", "-ERR RELEASE needs REASON text: say why, it is kept in the audit log"},
		{"RELEASE needs more than blanks", "RELEASE 10.45.0.7 REASON \"  \"", "-ERR REASON is empty: say why, it is kept in the audit log"},
		{"RELEASE of a free address", "RELEASE 10.46.0.7 REASON test", "-ERR release: nobody holds the address"},

		{"WATCH for what is no filter", "WATCH colour=red", `-ERR filter "colour=red": choose a kind of change, domain=, msisdn=, imsi= or addr=`},
		{"WATCH for what is no kind", "WATCH begun", `-ERR filter "begun": unknown change "begun"`},
		{"WATCH for what is no address", "WATCH addr=ten", `-ERR filter "addr=ten": not an address or prefix`},

		{"PING", "PING", "PONG"},
		{"PING with a message", "PING hey", "hey"},
		{"SELECT 0", "SELECT 0", "OK"},
		{"SELECT of another database", "SELECT 1", "-ERR there is only database 0"},
		{"AUTH is accepted and ignored", "AUTH secret", "OK"},
		{"CLIENT SETINFO", "CLIENT SETINFO lib-name x", "OK"},
		{"CLIENT SETNAME", "CLIENT SETNAME x", "OK"},
		{"CLIENT ID", "CLIENT ID", "1"},
		{"CLIENT LIST is not there", "CLIENT LIST", `-ERR CLIENT "LIST" is not there: ID, SETNAME and SETINFO are`},
		{"CONFIG GET finds nothing", "CONFIG GET maxmemory", "*[]"},
		{"CONFIG GET knows what redis-benchmark looks at", "CONFIG GET save", "*[save ]"},
		{"CONFIG GET has no case", "CONFIG GET APPENDONLY", "*[appendonly no]"},
		{"CONFIG SET is refused", "CONFIG SET save x", `-ERR CONFIG "SET": the configuration is a file; change it and reload the daemon`},
		{"HELLO tells the protocol", "HELLO", "*[server simbind version 1.2.3 proto 2 id 1 mode standalone role master modules *[]]"},
		{"HELLO 3 switches", "HELLO 3 AUTH default secret SETNAME x", "%[server simbind version 1.2.3 proto 3 id 1 mode standalone role master modules *[]]"},
		{"HELLO 4 is not spoken", "HELLO 4", "-NOPROTO this server speaks protocol 2 and 3"},
		{"HELLO with something else", "HELLO 3 COLOUR red", `-ERR HELLO with "COLOUR": it takes AUTH user password and SETNAME name`},
		{"COMMAND COUNT", "COMMAND COUNT", "21"},
		{"COMMAND INFO", "COMMAND INFO get nothing", "*[*[get 2 *[readonly] 0 0 0]]"},
		{"COMMAND DOCS", "COMMAND DOCS quit", "*[quit *[summary Closes the connection. since 1.0.0 group connection syntax QUIT]]"},
		{"QUIT", "QUIT", "OK"},
		{"an unknown command is named in one line", "\"FL\\nUSH\" x", `-ERR unknown command "FL\nUSH": COMMAND DOCS lists what there is`},
		{"a long name is cut", strings.Repeat("x", 200), `-ERR unknown command "` + strings.Repeat("x", 32) + `…": COMMAND DOCS lists what there is`},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			s, c, _ := offline(t, doubtful())
			got := exchange(t, s, c, []byte(tt.ask+"\r\n"))
			if len(got) != 1 || flat(got[0]) != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.ask, flat(value{kind: '*', list: got}), tt.want)
			}
		})
	}
}

func TestRESP3(t *testing.T) {
	for _, tt := range []struct{ claim, ask, want string }{
		{"LOOKUP is a map", "LOOKUP 10.45.0.7", "%[" + map7 + "]"},
		{"a doubt is a map", "LOOKUP 10.99.0.2", "%[state unknown reason out-of-pool]"},
		{"nil is the null", "LOOKUP 10.46.0.7", "nil"},
		{"NODES has booleans", "NODES", "*[%[name pgw1.lab owner dra also *[10.0.0.1] source gx up t since 2026-01-31T12:00:00.000Z heard 2026-01-31T12:00:00.000Z restart  restarts 2 sessions 5 events 10 observed f degraded  timeless f offset_known t offset_ms -1500 shared t orphaned t link %[]]]"},
		{"VERIFY stays an array", "VERIFY 10.45.0.7 +491700000007", "*[match bound 1500 8]"},
		{"HELLO 2 switches back", "HELLO 2", "*[server simbind version 1.2.3 proto 2 id 1 mode standalone role master modules *[]]"},
		{"STATUS", "STATUS", "%[site lab daemon 1.2.3 started 2026-01-31T12:00:00.000Z warming f healthy t problems *[] sessions 100 sessions_cap 1000000" +
			" addresses 100 address_cap 2000000 tombstones 0 queue 0 queue_cap 4096 nodes 1 journal_seq 42 commits 7 commit_us 250" +
			" edges %[tap tcx on eth0] counters %[events_applied 42 feed_published 41]]"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			s, c, _ := offline(t, doubtful())
			got := exchange(t, s, c, []byte("HELLO 3\r\n"+tt.ask+"\r\n"))
			if len(got) != 2 || flat(got[1]) != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.ask, flat(value{kind: '*', list: got}), tt.want)
			}
		})
	}
}

func TestABindingShowsTheDoubtOfTheAnswer(t *testing.T) {
	for _, tt := range []struct{ claim, addr, want string }{
		{"sure", "10.45.0.7", "bound bound"},
		{"nothing is being ingested", "10.45.0.90", "stale not-ingesting"},
		{"sources disagree", "10.45.0.91", "ambiguous conflict"},
		{"the SIM is known, its number is not", "10.45.0.92", "bound no-msisdn"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			s, c, _ := offline(t, doubtful())
			b := exchange(t, s, c, []byte("LOOKUP "+tt.addr+"\r\n"))[0].binding()
			if got := b.State + " " + b.Reason; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSessionsPages(t *testing.T) {
	s, c, _ := offline(t, newFake(1))
	seen, cursor, pages := map[string]bool{}, "0", 0
	for {
		v := exchange(t, s, c, []byte("SESSIONS all LIMIT 1000 CURSOR "+cursor+"\r\n"))[0]
		pages++
		for _, b := range decodeList(v.list[1], value.binding) {
			seen[b.Addr] = true
		}
		if cursor = v.list[0].str; cursor == "0" {
			break
		}
	}
	if len(seen) != 2500 || pages != 3 {
		t.Errorf("got %d sessions on %d pages", len(seen), pages)
	}
}

func TestSessionsWaitForTheJournal(t *testing.T) {
	f := newFake(1)
	f.state.Warming = true
	s, c, _ := offline(t, f)
	if got := flat(exchange(t, s, c, []byte("SESSIONS all\r\n"))[0]); !strings.HasPrefix(got, "-LOADING ") {
		t.Errorf("got %q", got)
	}
}

func TestVerifyAllocatesNothing(t *testing.T) {
	s, c, args := offline(t, newFake(100))
	for _, request := range []string{
		"*3\r\n$6\r\nVERIFY\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n",
		"*7\r\n$6\r\nverify\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n$4\r\nPORT\r\n$2\r\n80\r\n$6\r\nDOMAIN\r\n$8\r\ninternet\r\n",
		"*3\r\n$6\r\nVERIFY\r\n$11\r\n2001:db8::7\r\n$64\r\n" + sha7() + "\r\n",
		"*2\r\n$3\r\nGET\r\n$9\r\n10.45.0.7\r\n",
	} {
		data := []byte(request)
		allocs := testing.AllocsPerRun(1000, func() {
			got, _, complete, err := nextRequest(data, args)
			if err != nil || !complete {
				t.Fatal(err)
			}
			c.out.b = c.out.b[:0]
			s.dispatch(c, got)
		})
		if allocs != 0 {
			t.Errorf("%q allocates %v times", request, allocs)
		}
	}
}

func TestNothingKeepsTheReadBuffer(t *testing.T) {
	s, c, _ := offline(t, newFake(100))
	data := []byte("*5\r\n$6\r\nVERIFY\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n$6\r\nDOMAIN\r\n$8\r\ninternet\r\n")
	exchange(t, s, c, data)
	for i := range data {
		data[i] = 'x'
	}
	if got := s.domains["internet"]; got != "internet" {
		t.Errorf("the kept name is %q", got)
	}
	for i := range 2 * maxNames {
		s.domains.of([]byte{byte(i), byte(i >> 8)})
	}
	if len(s.domains) > maxNames {
		t.Errorf("%d names are kept", len(s.domains))
	}
}
