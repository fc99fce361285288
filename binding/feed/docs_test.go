package feed

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/simbind/simbind/binding"
)

const docFile = "../../docs/nats-feed.md"

func readDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) (list []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return list
}

func TestTheDocumentedGoIsTheTestedGo(t *testing.T) {
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	list := blocks(readDoc(t), "go")
	if len(list) != 1 {
		t.Fatalf("%d blocks of Go", len(list))
	}
	for _, block := range list {
		if !strings.Contains(string(code), block) {
			t.Error("the Go of the page is not that of example_test.go")
		}
	}
}

func TestTheDocumentedPermissionsAreTheTestedOnes(t *testing.T) {
	doc := readDoc(t)
	p := ofPair("lab")
	for _, subject := range slices.Concat(p.Publish.Allow, p.Subscribe.Allow) {
		if !strings.Contains(doc, `"`+subject+`"`) {
			t.Errorf("%s is not on the page", subject)
		}
	}
}

// docChanges are the changes of the page's examples.
func docChanges(t *testing.T) []binding.Change {
	addr, err := binding.IPv4(netip.MustParseAddr("10.45.0.7"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	seven := binding.Subscriber{MSISDN: 491700000007, IMSI: imsi("001010000000007"), IMEI: imei("3534900698733190")}
	eight := binding.Subscriber{MSISDN: 491700000008, IMSI: imsi("001010000000008")}
	gx := binding.SourceSet(0).Add(binding.SourceGx)
	c := binding.Change{Domain: "internet", Addr: addr, APN: "internet", Node: "pgw1.example"}
	bound, moved, released := c, c, c
	bound.Seq, bound.Kind, bound.Now, bound.RAT, bound.Sources, bound.Why = 1, binding.Bound, seven, 6, gx, "start"
	bound.At, bound.EventTime = at.Add(125*time.Millisecond), at
	moved.Seq, moved.Kind, moved.Now, moved.Was, moved.RAT, moved.Sources, moved.Why = 2, binding.Moved, eight, seven, 10, gx.Add(binding.SourceRADIUS), "start"
	moved.At, moved.EventTime = at.Add(5210*time.Millisecond), at.Add(5*time.Second)
	released.Seq, released.Kind, released.Was, released.Why = 3, binding.Released, eight, "stop"
	released.At, released.EventTime = at.Add(time.Minute), at.Add(59*time.Second)
	return []binding.Change{bound, moved, released}
}

// A docAsker answers the questions of the page.
type docAsker struct{ *fakeAsker }

func newDocAsker(t *testing.T) docAsker {
	c := docChanges(t)[0]
	a := newFakeAsker(t)
	a.b = binding.Binding{
		Subscriber: c.Now, Addr: c.Addr, Domain: c.Domain, APN: c.APN, RAT: c.RAT, Node: c.Node, Sources: c.Sources, State: binding.StateBound,
		Since: c.EventTime, Seen: c.EventTime.Add(time.Second), Expires: c.EventTime.Add(24*time.Hour + time.Second), Version: 8,
	}
	a.a.Version = 8
	a.list = []binding.Binding{a.b}
	a.addr = "10.45.0.7"
	return docAsker{a}
}

func (docAsker) Status() binding.Status {
	return binding.Status{
		Site: "lab", Started: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Healthy: true,
		Sessions: 1, SessionsCap: 1000000, Addresses: 1, Nodes: 1, JournalSeq: 3,
	}
}

// TestTheDocumentedCommands runs the page's examples with the nats tool.
func TestTheDocumentedCommands(t *testing.T) {
	if _, err := exec.LookPath("nats"); err != nil {
		if os.Getenv("SIMBIND_CI") == "1" {
			t.Fatal("the nats command line tool is not installed")
		}
		t.Skip("the nats command line tool is not installed")
	}
	cfg := embeddedConfig(t)
	cfg.Service, cfg.Journal.Incarnation = true, "5f3a9c21d07be846"
	outbox := newFakeOutbox()
	outbox.add(docChanges(t)...)
	site := New(cfg, outbox, newDocAsker(t), testLog(t))
	site.service.instance = "J5QX3K7NQ2VWYB4ZC6RD3GTHEA"
	f := run(t, site)
	f.awaitDelivered(3)
	bare := newOperator(t, func(*server.Options) {}) // for the commands that make the stream
	n := 0
	for _, block := range blocks(readDoc(t), "console") {
		for _, step := range strings.Split(block, "$ ")[1:] {
			command, want, _ := strings.Cut(step, "\n")
			url := f.Addr()
			if strings.HasPrefix(command, "nats stream add") {
				url = bare.url()
			}
			if got := shell(t, url, command); got != strings.TrimSpace(want) {
				t.Errorf("%s\n got %s\nwant %s", command, got, want)
			}
			n++
		}
	}
	if n != 11 {
		t.Errorf("%d commands were run", n)
	}
	got, wanted := streamConfig(t, bare, DefaultStream), f.wantedStream()
	if concerns := concerns(got, wanted, true); len(concerns) > 0 || got.Duplicates != wanted.Duplicates || got.AllowDirect != wanted.AllowDirect || !got.AllowBatchPublish {
		t.Errorf("the documented stream differs from ours: %v, %+v", concerns, got)
	}
}

func shell(t *testing.T, url, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "NATS_URL="+url, "HOME="+t.TempDir())
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v: %s", command, err, stderr.String())
	}
	return strings.TrimSpace(out.String())
}

func TestTheDocumentedChangesFollowTheSchema(t *testing.T) {
	schema := loadSchema(t)
	n := 0
	for _, block := range blocks(readDoc(t), "console") {
		for _, line := range strings.Split(block, "\n") {
			if strings.HasPrefix(line, `{"v":1`) && strings.HasSuffix(line, "}") {
				schema.check(t, []byte(line))
				n++
			}
		}
	}
	e := encoder{site: "lab", incarnation: "5f3a9c21d07be846", privacy: Clear}
	for _, c := range docChanges(t) {
		if payload := string(e.appendChange(nil, &c)); !strings.Contains(readDoc(t), payload) {
			t.Errorf("not on the page: %s", payload)
		}
	}
	if n != 3 {
		t.Errorf("%d changes were checked", n)
	}
}
