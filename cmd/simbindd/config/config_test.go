package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf/sender"
)

// write makes a file that only its owner can read.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	return Load(write(t, "c.yaml", text))
}

// keyAndWord are the last key that a line names and the word after it.
var keyAndWord = regexp.MustCompile(`:\d+: (?:[a-z_.]+(?:\[\d+\])?\.)*([a-z_]+)(?:\[\d+\])?: ([a-z_]+)`)

// problems are the lines of an error, without the name of the file.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, not one with lines", err)
	}
	var list []string
	for _, line := range strings.Split(err.Error(), "\n") {
		if m := keyAndWord.FindStringSubmatch(line); m != nil && m[1] == m[2] {
			t.Errorf("it names its key twice: %s", line)
		}
		list = append(list, strings.TrimPrefix(line, e.File+":"))
	}
	return list
}

const minimal = "site: lab\ndata_dir: d\n"

func TestWhatIsRefused(t *testing.T) {
	tests := []struct {
		claim string
		text  string
		want  []string
	}{
		{"an empty file", "# nothing\n", []string{` is empty; at least site and data_dir are required`}},
		{"two documents", minimal + "---\nsite: other\n", []string{` has more than one document ("---")`}},
		{"text that is no YAML", "site: lab\n\tdata_dir: d\n", []string{"2: found a tab character that violates indentation"}},
		{"a list where keys belong", "- site\n", []string{"1: a list is not a mapping of keys"}},
		{"the required keys are missing", "capacity: 1\n", []string{"1: data_dir: is required", "1: site: is required"}},
		{"a key twice", minimal + "site: b\n", []string{`3: mapping key "site" already defined at line 1`}},

		{"an unknown key, with its line", minimal + "sitte: x\n", []string{`3: unknown key "sitte"`}},
		{"an unknown key deep down", minimal + "query:\n  socket: s\n  sock: t\n", []string{`5: unknown key "sock"`}},
		{"an unknown key in a list", minimal + "domains:\n  - name: a\n  - name: b\n    pool: x\n", []string{`6: unknown key "pool"`}},
		{"all unknown keys at once", minimal + "a: 1\nb: 2\n", []string{`3: unknown key "a"`, `4: unknown key "b"`}},
		{"a tap on nothing", minimal + "tap: {interfaces: []}\n", []string{"3: tap.interfaces: is required"}},
		{"a tap on a pattern that is none", minimal + "tap: {interfaces: [eth0, 'eth[']}\n",
			[]string{"3: tap.interfaces[1]: \"eth[\" is neither a name nor a pattern; write it as eth0 or ens*"}},
		{"a tap with a port for two protocols", minimal + "tap: {interfaces: [eth0], ports: {gtp: [8805]}}\n",
			[]string{"3: tap.ports: 8805 is zero or named twice"}},
		{"a tap with an odd ring", minimal + "tap: {interfaces: [eth0], ring_buffer: 3MiB}\n",
			[]string{"3: tap.ring_buffer: 3145728 is not a power of two within 131072 to 1073741824"}},
		{"a tap with a client without a secret", minimal + "tap: {interfaces: [eth0], clients: [{name: pgw1, prefix: 192.0.2.0/24}]}\n",
			[]string{"3: tap.clients[0]: no secret: set secret or secret_file"}},
		{"a tap with a client whose blind delay is too long",
			minimal + "tap:\n  interfaces: [eth0]\n  clients:\n    - name: pgw1\n      blind_delay: 1h\n      secret: s\n",
			[]string{"7: tap.clients[0].blind_delay: \"1h\": a duration of at most 10m0s"}},
		{"a tap with a client that cannot be lost", minimal + "tap: {interfaces: [eth0], clients: [{name: pgw1, prefix: 192.0.2.0/24, secret: s, loss_timeout: 1m}]}\n",
			[]string{"3: unknown key \"loss_timeout\""}},
		{"a group of senders without addresses", minimal + "tap:\n  interfaces: [eth0]\n  groups:\n    - {name: a, addresses: [192.0.2.1]}\n    - {name: b}\n",
			[]string{"7: tap.groups[1]: the group of senders b has no addresses"}},
		{"a group of senders twice", minimal + "tap:\n  interfaces: [eth0]\n  groups:\n    - {name: a, addresses: [192.0.2.1]}\n    - {name: a, addresses: [192.0.2.2]}\n",
			[]string{"7: tap.groups[1]: the group of senders a is there twice"}},
		{"a group of senders with an address that is none", minimal + "tap:\n  interfaces: [eth0]\n  groups:\n    - name: a\n      addresses: [192.0.2]\n",
			[]string{`7: tap.groups[0].addresses[0]: "192.0.2" is not a prefix; write it as 10.45.0.0/16 or 2001:db8::/32`}},
		{"a silence that is a pause", minimal + "tap: {interfaces: [eth0], silence: 5s}\n", []string{"3: tap.silence: 5s is less than 30s"}},
		{"a tap with another policy", minimal + "tap: {interfaces: [eth0], on_loss: ignore}\n", []string{"3: tap.on_loss: \"ignore\": choose stale, mark"}},
		{"a section without content", minimal + "radius:\n", []string{"3: radius: is empty: fill it in, or leave it out to turn it off"}},

		{"other sites where there is no cluster", minimal + "follow: [north]\n", []string{"3: follow: no other site is heard without nats.url"}},
		{"questions to sites where there is no cluster", minimal + "remote: on\n", []string{"3: remote: no other site is heard without nats.url or nats.embedded.leaf"}},
		{"other sites on a leaf node", minimal + "follow: [north]\nnats: {embedded: {leaf: {urls: ['tls://192.0.2.1:7422']}}}\n",
			[]string{"3: follow: a leaf node does not get the changes of others: follow them with nats.url"}},

		{"a text for a number", minimal + "capacity: many\n", []string{"3: the text `many` is not a whole number within its range"}},
		{"a number for a list", minimal + "radius: {listen: 5}\n", []string{"3: the number `5` is not a list"}},
		{"a text for yes or no", minimal + "metrics: {listen: '127.0.0.1:1', allow_remote: perhaps}\n", []string{"3: the text `perhaps` is not true or false"}},
		{"a negative uid", minimal + "query: {socket: s, roles: {read: {uids: [-1]}}}\n", []string{"3: the number `-1` is not a whole number within its range"}},

		{"a capacity of nothing", minimal + "capacity: 0\n", []string{"3: capacity: 0 is not within 1 to 134217726"}},
		{"a capacity that no index has", minimal + "capacity: 134217727\n", []string{"3: capacity: 134217727 is not within 1 to 134217726"}},
		{"too many addresses", minimal + "addresses: 200000000\n", []string{"3: addresses: 200000000 is not within 1 to 134217726"}},
		{"a queue without end", minimal + "queue: 10000000\n", []string{"3: queue: 10000000 is not within 1 to 1048576"}},
		{"a duration without a unit", minimal + "lease: 24\n", []string{`3: lease: "24" is not a duration; write it as 24h, 90s or 1h30m`}},
		{"a negative duration", minimal + "linger: -1s\n", []string{`3: linger: "-1s": a duration must not be negative`}},
		{"a zero that would mean the default", minimal + "trust_gap: 0s\n", []string{`3: trust_gap: "0s": a duration must be above zero`}},
		{"a lease too short for the index", minimal + "lease: 10ms\n", []string{"3: lease: 10ms is not within 1s to 291h16m15s"}},
		{"a lease too long for the index", minimal + "lease: 1000h\n", []string{"3: lease: 1000h0m0s is not within 1s to 291h16m15s"}},
		{"each time has its line", minimal + "max_delay: x\nlease_grace: x\nloss_timeout: x\n", []string{
			`3: max_delay: "x" is not a duration; write it as 24h, 90s or 1h30m`,
			`4: lease_grace: "x" is not a duration; write it as 24h, 90s or 1h30m`,
			`5: loss_timeout: "x" is not a duration; write it as 24h, 90s or 1h30m`,
		}},

		{"a delay of nothing", minimal + "max_delay: 0s\n", []string{`3: max_delay: "0s": a duration must be above zero`}},
		{"a delay beyond what is remembered", minimal + "max_delay: 2h\n", []string{"3: max_delay: 2h0m0s is not within 1s to 1h0m0s"}},
		{"a blind delay above the greatest", minimal + "blind_delay: 6m\n", []string{"3: blind_delay: 6m0s is not within 1s to max_delay 5m0s"}},
		{"a delay below the usual blind one", minimal + "max_delay: 10s\n", []string{"3: max_delay: 10s is less than blind_delay, which is 30s where it is not set: set it too, to at most 10s"}},
		{"a delay below the blind one that is written", minimal + "max_delay: 1m\nblind_delay: 2m\n", []string{"4: blind_delay: 2m0s is not within 1s to max_delay 1m0s"}},
		{"a client's blind delay above the greatest", minimal + "radius:\n  listen: [':1']\n  clients:\n    - name: a\n      prefix: 10.0.0.0/8\n      secret: s\n      blind_delay: 6m\n",
			[]string{"9: radius.clients[0].blind_delay: 6m0s is not within 1s to max_delay 5m0s"}},
		{"a tap's client's blind delay above the greatest", minimal + "max_delay: 1m\ntap:\n  interfaces: [eth0]\n  clients:\n    - name: a\n      prefix: 10.0.0.0/8\n      secret: s\n      blind_delay: 2m\n",
			[]string{"10: tap.clients[0].blind_delay: 2m0s is not within 1s to max_delay 1m0s"}},
		{"a policy for SIMs that there is not", minimal + "multi_sim: refuse\n", []string{`3: multi_sim: "refuse": choose flag, match, ambiguous`}},
		{"a placeholder without a plus", minimal + "placeholders:\n  - '+10000000000'\n  - 001010000\n  - nobody\n", []string{
			`5: placeholders[1]: "001010000" is neither a number with '+' nor an IMSI: an IMSI has 14 or 15 digits`,
			`6: placeholders[2]: "nobody" is neither a number with '+' nor an IMSI: IMSI: a non-digit: not a valid identity`}},
		{"yes and no to one question", minimal + "parallel_sessions: perhaps\n", []string{"3: the text `perhaps` is not true or false"}},
		{"a claim wider than everything", minimal + "domains:\n  - name: a\n    widest:\n      ipv4: 33\n      ipv6: 0\n", []string{
			"6: domains[0].widest.ipv4: 33 is not within 1 to 32", "7: domains[0].widest.ipv6: 0 is not within 1 to 128"}},
		{"a widest claim of no family", minimal + "domains: [{name: a, widest: {ipv5: 24}}]\n", []string{`3: unknown key "ipv5"`}},
		{"a site that is no token of a subject", "site: lab.eu\ndata_dir: d\n", []string{`1: site: "lab.eu": only A-Z a-z 0-9 _ - are allowed`}},
		{"a domain without a name", minimal + "domains:\n  - apns: [a]\n", []string{`4: domains[0]: name "" is empty or not unique`}},
		{"a domain's name twice", minimal + "domains:\n  - name: a\n  - name: a\n", []string{`5: domains[1].name: "a" is empty or not unique`}},
		{"an APN in two domains", minimal + "domains:\n  - {name: a, apns: [x]}\n  - {name: b, apns: [X]}\n", []string{`5: domains[1]: APN "x" is in domain "a" and in domain "b"`}},
		{"a pool with host bits", minimal + "domains:\n  - name: a\n    pools:\n      - 10.0.0.0/8\n      - 10.45.0.1/16\n", []string{
			`7: domains[0].pools[1]: "10.45.0.1/16" has bits set beyond its length; write 10.45.0.0/16`}},
		{"a pool that is no prefix", minimal + "domains: [{name: a, pools: [10.45]}]\n", []string{
			`3: domains[0].pools[0]: "10.45" is not a prefix; write it as 10.45.0.0/16 or 2001:db8::/32`}},
		{"a pool of mapped addresses", minimal + "domains: [{name: a, pools: ['::ffff:10.0.0.0/104']}]\n", []string{
			`3: domains[0].pools[0]: "::ffff:10.0.0.0/104" is not a prefix; write it as 10.45.0.0/16 or 2001:db8::/32`}},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			_, err := load(t, tt.text)
			if got := problems(t, err); !slices.EqualFunc(got, tt.want, func(got, want string) bool { return strings.TrimSpace(got) == strings.TrimSpace(want) }) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
		})
	}
}

func TestWhatTheSectionsRefuse(t *testing.T) {
	client := func(more string) string {
		return minimal + "radius:\n  listen: ['127.0.0.1:1813']\n  clients:\n    - {name: a, prefix: 10.0.0.0/8, secret: s}\n    - " + more + "\n"
	}
	tests := []struct {
		claim string
		text  string
		want  string
	}{
		{"radius that listens nowhere", minimal + "radius: {clients: []}\n", "3: radius: has neither listen nor radsec"},
		{"a listener without a port", minimal + "radius: {listen: ['127.0.0.1']}\n", `3: radius.listen[0]: "127.0.0.1" is not host:port`},
		{"a listener with a name", minimal + "radius: {listen: ['pgw:1813']}\n", `3: radius.listen[0]: "pgw:1813": "pgw" is not an IP address`},
		{"a listener beyond the ports", minimal + "radius: {listen: [':70000']}\n", `3: radius.listen[0]: ":70000": port "70000" is not within`},
		{"a client without a secret", client("{name: b, prefix: 11.0.0.0/8}"), `7: radius.clients[1]: no secret: set secret or secret_file`},
		{"a client with two secrets", client("{name: b, prefix: 11.0.0.0/8, secret: s, secret_file: f}"), "7: radius.clients[1]: has both secret and secret_file"},
		{"a secret file that is missing", client("{name: b, prefix: 11.0.0.0/8, secret_file: /nonexistent/s}"), "7: radius.clients[1].secret_file: stat /nonexistent/s: no such file"},
		{"a secret file that is a directory", client("{name: b, prefix: 11.0.0.0/8, secret_file: /tmp}"), "7: radius.clients[1].secret_file: /tmp is not a regular file"},
		{"a client that nothing identifies", client("{name: b, secret: s}"), `7: radius.clients[1]: "b": neither a prefix nor a certificate says who it is`},
		{"a client's name twice", client("{name: a, prefix: 11.0.0.0/8, secret: s}"), `7: radius.clients[1]: "a": the name is empty or not unique`},
		{"a client's prefix twice", client("{name: b, prefix: 10.0.0.0/8, secret: s}"), `7: radius.clients[1]: "b": prefix 10.0.0.0/8 is another client's`},
		{"a client's prefix with host bits", client("{name: b, prefix: 10.0.0.1/8, secret: s}"), "7: radius.clients[1].prefix:"},
		{"a blind delay of nothing", client("{name: b, prefix: 11.0.0.0/8, secret: s, blind_delay: 0s}"), `7: radius.clients[1].blind_delay: "0s": a duration must be above zero`},
		{"a blind delay that is too long", client("name: b\n      prefix: 11.0.0.0/8\n      secret: s\n      blind_delay: 11m"), `10: radius.clients[1].blind_delay: "11m": a duration of at most 10m0s`},
		{"a blind delay without a unit", client("{name: b, prefix: 11.0.0.0/8, secret: s, blind_delay: 30}"), `7: radius.clients[1].blind_delay: "30" is not a duration`},
		{"several groups of one client", client("{name: b, group: [x, y], prefix: 11.0.0.0/8, secret: s}"), "7: a list is not a text"},
		{"a key of a client that there is not", client("{name: b, groups: x, prefix: 11.0.0.0/8, secret: s}"), `7: unknown key "groups"`},
		{"a negative loss timeout", client("{name: b, prefix: 11.0.0.0/8, secret: s, loss_timeout: -1s}"), "7: radius.clients[1].loss_timeout:"},
		{"a buffer that is no size", minimal + "radius: {listen: [':1'], receive_buffer: big}\n", `3: radius.receive_buffer: "big" is not a size`},
		{"a buffer too small for a packet", minimal + "radius: {listen: [':1'], receive_buffer: '100'}\n", "3: radius.receive_buffer: 100 is not within 4096 to 1073741824"},
		{"a home server by name", minimal + "radius: {listen: [':1'], proxy_to: {server: 'aaa:1813', secret: s}}\n", `3: radius.proxy_to.server: "aaa:1813" is not address:port`},
		{"a home server without a secret", minimal + "radius: {listen: [':1'], proxy_to: {server: '192.0.2.1:1813'}}\n", "3: radius.proxy_to: no secret: set secret or secret_file"},
		{"diameter that listens nowhere", minimal + "diameter: {origin_host: a.lab, origin_realm: lab}\n", "3: diameter.listen: is required"},
		{"diameter without a name", minimal + "diameter: {listen: [':3868'], origin_realm: lab}\n", "3: diameter.origin_host: is required"},
		{"diameter with a name that is none", minimal + "diameter: {listen: [':3868'], origin_host: 'a b', origin_realm: lab}\n", `3: diameter.origin_host: "a b" is not a domain name`},
		{"a mode that there is not", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, mode: proxy}\n", `3: diameter.mode: "proxy": choose terminate, relay`},
		{"messages above the limit", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, max_message: 1MiB}\n", "3: diameter.max_message: 1048576 is not within 4096 to 65536"},
		{"diameter over TLS without certificates", minimal + "diameter: {origin_host: a.lab, origin_realm: lab, tls: {listen: [':5868']}}\n", "3: diameter.tls.cert_file: is required"},
		{"sctp on a port alone", minimal + "diameter: {origin_host: a.lab, origin_realm: lab, sctp_listen: [':3868']}\n", `3: diameter.sctp_listen[0]: ":3868" is not address:port`},
		{"an upstream over TLS that is not configured", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, mode: relay, upstreams: [{address: 'pcrf:3868', host: pcrf.lab, tls: true}]}\n", "3: diameter.upstreams[0].tls: pcrf.lab wants it, and the section tls is missing"},
		{"a relay without upstreams", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, mode: relay}\n", "3: diameter.upstreams: is required by mode: relay, at least one"},
		{"upstreams without a relay", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, upstreams: [{address: 'pcrf:3868', host: pcrf.lab}]}\n", "3: diameter.upstreams: only a relay has them: set mode: relay, or remove them"},
		{"an upstream twice", minimal + "diameter:\n  listen: [':3868']\n  origin_host: a.lab\n  origin_realm: lab\n  mode: relay\n  upstreams:\n    - {address: 'pcrf:3868', host: pcrf.lab}\n    - address: 'pcrf:3869'\n      host: PCRF.lab\n", "11: diameter.upstreams[1].host: PCRF.lab is named twice, or like us"},
		{"an HSS that is nowhere", minimal + "directory:\n  sh:\n    origin_host: a.lab\n    origin_realm: lab\n", "4: directory.sh.servers: is required, at least one"},
		{"an HSS without a port", minimal + "directory:\n  sh:\n    origin_host: a.lab\n    origin_realm: lab\n    servers:\n      - {address: hss, host: hss.lab}\n", `8: directory.sh.servers[0].address: "hss" is not host:port`},
		{"an NRF's identity that is none", minimal + "directory:\n  udm:\n    url: http://udm.lab\n    nrf:\n      url: http://nrf.lab\n      nf_instance_id: x\n", "8: directory.udm.nrf.nf_instance_id: is no UUID"},
		{"an upstream without a port", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, mode: relay, upstreams: [{address: pcrf, host: pcrf.lab}]}\n", `3: diameter.upstreams[0].address: "pcrf" is not host:port`},
		{"an upstream without a host", minimal + "diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, mode: relay, upstreams: [{address: 'pcrf:3868'}]}\n", "3: diameter.upstreams[0].host: is required"},
		{"a peer without a host", minimal + "diameter:\n  listen: [':3868']\n  origin_host: a.lab\n  origin_realm: lab\n  peers:\n    - {realm: lab}\n", "8: diameter.peers[0].host: is required"},
		{"a peer's group with a space", minimal + "diameter:\n  listen: [':3868']\n  origin_host: a.lab\n  origin_realm: lab\n  peers:\n    - host: b.lab\n      group: 'a b'\n", `9: diameter.peers[0].group: "a b" has a space in it, or another character that a domain name has not`},
		{"a peer called like a group that it is not of", minimal + "diameter:\n  listen: [':3868']\n  origin_host: a.lab\n  origin_realm: lab\n  peers:\n    - {host: dra1, group: dra}\n    - host: DRA\n", "9: diameter.peers[1].host: DRA is called like the group dra, which only its members may be"},
		{"or like one that is written otherwise", minimal + "diameter:\n  listen: [':3868']\n  origin_host: a.lab\n  origin_realm: lab\n  peers:\n    - {host: dra, group: other}\n    - {host: dra1, group: DRA}\n", "8: diameter.peers[0].host: dra is called like the group DRA"},
		{"radsec without certificates", minimal + "radius:\n  radsec:\n    listen: [':2083']\n", "4: radius.radsec.cert_file: is required"},

		{"query without a socket", minimal + "query: {}\n", "3: query.socket: is required"},
		{"a socket's path beyond sun_path", minimal + "query: {socket: " + strings.Repeat("x", 108) + "}\n", "3: query.socket:"},
		{"an abstract socket", minimal + "query: {socket: '@simbind'}\n", "3: query.socket:"},
		{"an unknown priority", minimal + "query: {socket: s, priority: urgent}\n", `3: query.priority: "urgent": choose normal, high`},
		{"too many connections", minimal + "query: {socket: s, max_connections: 100000}\n", "3: query.max_connections: 100000 is not within 1 to 65536"},

		{"an unknown privacy", minimal + "privacy: {publish_msisdn: md5}\n", `3: privacy.publish_msisdn: "md5": choose none, clear, sha256`},
		{"a stream's name with a dot", minimal + "nats:\n  stream:\n    name: a.b\n", `5: nats.stream.name: "a.b": only A-Z a-z 0-9 _ - are allowed`},
		{"a stream that forgets at once", minimal + "nats:\n  stream:\n    max_age: 1s\n", "5: nats.stream.max_age: is below one minute"},
		{"a stream without room", minimal + "nats:\n  stream:\n    max_bytes: 1KiB\n", "5: nats.stream.max_bytes: is below 1 MiB"},
		{"six replicas", minimal + "nats:\n  stream:\n    replicas: 6\n", "5: nats.stream.replicas: 6 is not within 1 to 5"},
		{"replicas without a cluster", minimal + "nats:\n  stream:\n    replicas: 3\n", "5: nats.stream.replicas: the embedded server keeps one replica; more need a cluster (url)"},
		{"an embedded server with less room than the stream", minimal + "nats:\n  embedded:\n    max_bytes: 1GiB\n", "5: nats.embedded.max_bytes: is below the stream's"},
		{"credentials for no server", minimal + "nats: {token_file: /dev/null}\n", "3: nats.token_file: /dev/null is not a regular file"},
		{"an embedded server beside the operator's", minimal + "nats:\n  url: nats://n\n  embedded:\n    listen: ':4222'\n", "5: nats.embedded: has no effect with nats.url"},
		{"an open feed without a token", minimal + "nats: {embedded: {listen: ':4222'}}\n", "3: nats.embedded.listen: \":4222\" is reachable from other hosts: it needs a token_file, or listen on 127.0.0.1"},

		{"metrics for everybody", minimal + "metrics: {listen: ':9464'}\n", `3: metrics.listen: ":9464" can be reached from other hosts`},
		{"metrics on a name", minimal + "metrics: {listen: 'host:9464'}\n", `3: metrics.listen: "host:9464": "host" is not an IP address`},
		{"metrics without an address", minimal + "metrics: {allow_remote: true}\n", "3: metrics.listen: is required"},
		{"an unknown level", minimal + "log: {level: loud}\n", `3: log.level: "loud": choose info, debug, warn, error`},
		{"an unknown format", minimal + "log: {format: xml}\n", `3: log.format: "xml": choose text, json`},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			_, err := load(t, tt.text)
			got := problems(t, err)
			if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, tt.want) }) {
				t.Errorf("got\n  %s\nwant\n  %s…", strings.Join(got, "\n  "), tt.want)
			}
		})
	}
}

func TestAMinimalFileIsEnough(t *testing.T) {
	cfg, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RADIUS != nil || cfg.Query != nil || cfg.Metrics != nil {
		t.Error("a section that is absent is on")
	}
	if cfg.Feed.PublishMSISDN != "none" || cfg.Feed.Service || cfg.Feed.Embedded.Listen != "" {
		t.Errorf("identities leave the host without being asked for: %+v", cfg.Feed)
	}
	if cfg.JournalDir() != "d/journal" || cfg.Feed.Embedded.StoreDir != "d/nats" {
		t.Errorf("data is kept in %q and %q", cfg.JournalDir(), cfg.Feed.Embedded.StoreDir)
	}
	if got := cfg.Log; got.Level != slog.LevelInfo || got.JSON {
		t.Errorf("log is %+v", got)
	}
	if len(cfg.Warnings) != 3 { // no edge, nobody can ask, no pools
		t.Errorf("warnings: %q", cfg.Warnings)
	}
}

func TestWhatAFileMeans(t *testing.T) {
	secret := write(t, "secret", "from a file\n")
	cfg, err := load(t, fmt.Sprintf(`
site: lab
data_dir: /var/lib/simbind
capacity: 5000
lease: 1h30m
max_delay: 10m
blind_delay: 45s
multi_sim: ambiguous
placeholders: ["+10000000000", "001010000000000"]
parallel_sessions: true
domains: [{name: internet, apns: [internet], pools: [10.45.0.0/16, "2001:db8::/48", 192.0.2.1], widest: {ipv4: 28, ipv6: 56}}]
radius:
  listen: ["127.0.0.1:1813", "[::1]:1813"]
  receive_buffer: 4MiB
  clients:
    - {name: a, prefix: 127.0.0.0/8, secret: 0123, loss_timeout: 0s, group: pair, blind_delay: 2m}
    - {name: b, prefix: "2001:db8::1", secret_file: %s, nodes: [x], msisdn_strip: ["+"]}
tap:
  interfaces: [eth0]
  clients: [{name: a, prefix: 127.0.0.0/8, secret: 0123, group: pair, blind_delay: 10m}]
  groups: [{name: dra, addresses: [192.0.2.1, "2001:db8::/64"]}]
  silence: 0s
query:
  socket: ./s.sock
  roles: {verify: {uids: [33]}, read: {gids: [4]}, admin: {uids: [0]}}
  idle_timeout: 0s
nats: {url: "", stream: {max_bytes: 2GiB}, service: true}
privacy: {publish_msisdn: sha256}
metrics: {listen: "0.0.0.0:9464", allow_remote: true}
log: {level: debug, format: json}
diameter: {listen: [":3868"], origin_host: a.lab, origin_realm: lab, peers: [{host: b.lab, group: dra}]}
`, secret))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("registry", cfg.Registry, registry.Config{
		Site: "lab", Capacity: 5000, Lease: 90 * time.Minute, MaxDelay: 10 * time.Minute, Blind: 45 * time.Second,
		MultiSIM: registry.MultiSIMAmbiguous, Placeholders: []string{"+10000000000", "001010000000000"}, Parallel: true,
		Domains: []binding.Domain{{
			Name: "internet", APNs: []string{"internet"}, Widest4: 28, Widest6: 56, Pools: []netip.Prefix{
				netip.MustParsePrefix("10.45.0.0/16"), netip.MustParsePrefix("2001:db8::/48"), netip.MustParsePrefix("192.0.2.1/32")},
		}},
	})
	check("secret with leading zeros", string(cfg.RADIUS.Clients[0].Secret), "0123")
	check("secret of a file", string(cfg.RADIUS.Clients[1].Secret), "from a file")
	one, two, observed := cfg.RADIUS.Clients[0], cfg.RADIUS.Clients[1], cfg.Tap.Accounting.Clients[0]
	check("groups", []string{one.Group, two.Group, observed.Group}, []string{"pair", "", "pair"})
	check("blind delays", []time.Duration{one.BlindDelay, two.BlindDelay, observed.BlindDelay},
		[]time.Duration{2 * time.Minute, 0, 10 * time.Minute})
	check("prefix of one address", cfg.RADIUS.Clients[1].Prefix, netip.MustParsePrefix("2001:db8::1/128"))
	check("receive buffer", cfg.RADIUS.ReceiveBuffer, 4<<20)
	check("roles", cfg.Query.Roles, query.Roles{
		Verify: query.Principals{UIDs: []uint32{33}}, Read: query.Principals{GIDs: []uint32{4}}, Admin: query.Principals{UIDs: []uint32{0}}})
	check("group of a peer", cfg.Diameter.Peers[0].Group, "dra")
	check("groups of senders", cfg.Tap.Groups, sender.Groups{{Name: "dra", Addresses: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")}}})
	check("silence", cfg.Tap.Silence, time.Duration(-1))
	check("idle timeout", cfg.Query.IdleTimeout, time.Duration(-1))
	check("stream size", cfg.Feed.Stream.MaxBytes, int64(2<<30))
	check("privacy", cfg.Feed.PublishMSISDN, "sha256")
	check("service", cfg.Feed.Service, true)
	check("metrics", *cfg.Metrics, Metrics{"0.0.0.0:9464"})
	check("log", cfg.Log, Log{slog.LevelDebug, true})
	check("warnings", len(cfg.Warnings), 0)
}

func TestAPeerMayBeCalledLikeItsOwnGroup(t *testing.T) {
	_, err := load(t, minimal+"diameter: {listen: [':3868'], origin_host: a.lab, origin_realm: lab, peers: [{host: DRA1, group: dra1}, {host: dra2, group: dra1}, {host: '*'}]}\n")
	if err != nil {
		t.Error(err)
	}
}

func TestSecretFiles(t *testing.T) {
	client := func(file string) string {
		return minimal + "radius: {listen: [':1'], clients: [{name: a, prefix: 10.0.0.0/8, secret_file: " + file + "}]}\n"
	}
	for text, want := range map[string]string{
		"plain": "plain", "one line end\n": "one line end", "dos\r\n": "dos", "two\n\n": "two\n", " spaces \n": " spaces ", "\n": "",
	} {
		cfg, err := load(t, client(write(t, "s", text)))
		if want == "" {
			if got := problems(t, err); !strings.Contains(got[0], "is empty") {
				t.Errorf("%q: %q", text, got)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := string(cfg.RADIUS.Clients[0].Secret); got != want {
			t.Errorf("file %q: secret %q, want %q", text, got, want)
		}
	}
	open := write(t, "s", "x")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := load(t, client(open))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(cfg.Warnings, func(w string) bool { return strings.Contains(w, "every user of this host can read "+open) }) {
		t.Errorf("no warning about a secret that everybody can read: %q", cfg.Warnings)
	}
	large := write(t, "s", strings.Repeat("x", maxSecret+1))
	if _, err := load(t, client(large)); err == nil {
		t.Error("a secret of any size is read")
	}
}

func TestAnInlineSecretInAnOpenFileIsAWarning(t *testing.T) {
	for _, section := range []string{"radius: {listen: [':1']", "tap: {interfaces: [eth0]"} {
		testOpenFile(t, write(t, "c.yaml", minimal+section+", clients: [{name: a, prefix: 10.0.0.0/8, secret: x}]}\n"))
	}
}

func testOpenFile(t *testing.T, file string) {
	t.Helper()
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(cfg.Warnings, func(w string) bool { return strings.Contains(w, "which has secrets") }); got != want {
			t.Errorf("mode %o: warned %v, want %v", mode, got, want)
		}
	}
}

func TestFormerKeysAreIgnoredWithAWarning(t *testing.T) {
	plain, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"tombstones": "-1", "tombstone_ttl": "{a: b}"} {
		cfg, err := load(t, minimal+key+": "+value+"\n")
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		var told []string
		for _, w := range cfg.Warnings {
			if strings.HasPrefix(w, key+": is ignored") {
				told = append(told, w)
			}
		}
		if len(told) != 1 || len(cfg.Warnings) != len(plain.Warnings)+1 {
			t.Errorf("%s: warnings %q", key, cfg.Warnings)
		}
		if !reflect.DeepEqual(cfg.Registry, plain.Registry) {
			t.Errorf("%s has an effect: %+v", key, cfg.Registry)
		}
		if keys := plain.Changed(cfg); len(keys) != 0 {
			t.Errorf("%s waits for the next start: %q", key, keys)
		}
	}
}

func TestTheUsualPolicyFlagsANumberOfSeveralSIMs(t *testing.T) {
	for text, want := range map[string]registry.MultiSIM{
		"": registry.MultiSIMFlag, "multi_sim: flag\n": registry.MultiSIMFlag, "multi_sim: match\n": registry.MultiSIMMatch,
	} {
		if cfg, err := load(t, minimal+text); err != nil || cfg.Registry.MultiSIM != want {
			t.Errorf("%q: %v, %v", text, cfg.Registry.MultiSIM, err)
		}
	}
}

func TestChangedNamesWhatNeedsARestart(t *testing.T) {
	base := minimal + "domains: [{name: a}]\nradius: {listen: [':1'], clients: []}\nquery: {socket: s}\nlog: {level: info}\n"
	start, err := load(t, base)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		claim, old, new string
		want            []string
	}{
		{"nothing has changed", "", "", nil},
		{"clients are reloaded", "clients: []", "clients: [{name: a, prefix: 10.0.0.0/8, secret: x}]", nil},
		{"pools are reloaded", "[{name: a}]", "[{name: a, pools: [10.0.0.0/8]}]", nil},
		{"the widest claims are reloaded", "[{name: a}]", "[{name: a, widest: {ipv4: 26}}]", nil},
		{"delays and policies are not", "data_dir: d", "data_dir: d\nmax_delay: 1m\nmulti_sim: match", []string{"max_delay", "multi_sim"}},
		{"roles are reloaded", "socket: s", "socket: s, roles: {read: {uids: [1]}}", nil},
		{"the level is reloaded", "level: info", "level: debug", nil},
		{"a listener is not", "':1'", "':2'", []string{"radius.listen"}},
		{"a section that came is not", "log:", "metrics: {listen: '127.0.0.1:1'}\nlog:", []string{"metrics"}},
		{"several", "data_dir: d", "data_dir: e\ncapacity: 5\nnats: {stream: {name: X}}", []string{"data_dir", "capacity", "nats.stream.name"}},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			next, err := load(t, strings.Replace(base, tt.old, tt.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got := start.Changed(next); !slices.Equal(got, tt.want) {
				t.Errorf("changed: %q, want %q", got, tt.want)
			}
		})
	}
}
