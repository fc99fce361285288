package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
)

// file is the configuration as it is written; absent keys are zero.
type file struct {
	Issuer string   `yaml:"issuer"`
	Listen []string `yaml:"listen"`
	TLS    struct {
		CertFile string `yaml:"cert_file"`
		KeyFile  string `yaml:"key_file"`
	} `yaml:"tls"`
	AllowPlain bool `yaml:"allow_plain"`
	Proxies    struct {
		Trusted       []string `yaml:"trusted"`
		Header        string   `yaml:"header"`
		PROXYProtocol bool     `yaml:"proxy_protocol"`
	} `yaml:"proxies"`
	NAT64    []string `yaml:"nat64"`
	Simbindd struct {
		Socket  string `yaml:"socket"`
		Domain  string `yaml:"domain"`
		Timeout string `yaml:"timeout"`
	} `yaml:"simbindd"`
	ClientsFile    string `yaml:"clients_file"`
	SigningKeys    string `yaml:"signing_keys_file"`
	SubjectKeyFile string `yaml:"subject_key_file"`
	Audit          struct {
		File    string `yaml:"file"`
		KeyFile string `yaml:"key_file"`
	} `yaml:"audit"`
	Continuity     string `yaml:"continuity"`
	WorkInProgress bool   `yaml:"vwip"`
	CodeLife       string `yaml:"code_life"`
	TokenLife      string `yaml:"token_life"`
	ConsentURL     string `yaml:"consent_url"`
	State          string `yaml:"state"`
	NATS           struct {
		URL       string `yaml:"url"`
		CredsFile string `yaml:"creds_file"`
		CAFile    string `yaml:"ca_file"`
		Bucket    string `yaml:"bucket"`
		Replicas  int    `yaml:"replicas"`
	} `yaml:"nats"`
	Limits struct {
		PerClient  *float64 `yaml:"per_client"`
		PerAddress *float64 `yaml:"per_address"`
	} `yaml:"limits"`
	Metrics struct {
		Listen string `yaml:"listen"`
	} `yaml:"metrics"`
	Drain string `yaml:"drain"`
	Log   struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
}

// load reads and checks the configuration; all problems are told at once.
func load(name string) (numverify.Config, slog.Level, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return numverify.Config{}, 0, err
	}
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return numverify.Config{}, 0, fmt.Errorf("%s: %w", name, err)
	}
	c := &checker{}
	if err := yaml.Unmarshal(text, &c.tree); err != nil {
		return numverify.Config{}, 0, fmt.Errorf("%s: %w", name, err)
	}
	cfg := f.check(c)
	var level slog.Level
	if f.Log.Level != "" {
		c.note("log.level", level.UnmarshalText([]byte(f.Log.Level)))
	}
	if len(c.problems) > 0 {
		slices.SortStableFunc(c.problems, func(a, b problem) int { return a.line - b.line })
		list := make([]error, len(c.problems))
		for i, p := range c.problems {
			list[i] = fmt.Errorf("%s:%d: %s: %w", name, p.line, p.key, p.err)
		}
		return numverify.Config{}, 0, errors.Join(list...)
	}
	return cfg, level, nil
}

// A checker collects what is wrong.
type checker struct {
	tree     yaml.Node // knows the lines
	problems []problem
}

type problem struct {
	line int
	key  string
	err  error
}

func (c *checker) note(key string, err error) {
	if err != nil {
		c.problems = append(c.problems, problem{c.line(key), key, err})
	}
}

// line is that of a key, or of the last one on the way to it that exists.
func (c *checker) line(key string) int {
	line, node := 1, &c.tree
	if len(node.Content) > 0 {
		node = node.Content[0] // of the document
	}
	for _, name := range strings.Split(key, ".") {
		at := -1
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				at = i
			}
		}
		if at < 0 {
			return line
		}
		line, node = node.Content[at].Line, node.Content[at+1]
	}
	return line
}

func (c *checker) failf(key, format string, args ...any) { c.note(key, fmt.Errorf(format, args...)) }

func (c *checker) needed(key, value string) string {
	if value == "" {
		c.failf(key, "it is needed")
	}
	return value
}

// duration is between zero and most; the default if absent.
func (c *checker) duration(key, text string, normal, most time.Duration) time.Duration {
	if text == "" {
		return normal
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > most {
		c.failf(key, "%q is not a duration up to %v", text, most)
	}
	return d
}

func (c *checker) prefixes(key string, texts []string) (list []netip.Prefix) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err == nil && p != p.Masked() {
			err = fmt.Errorf("%q has bits set beyond its length", text)
		}
		c.note(key, err)
		list = append(list, p)
	}
	return list
}

// secret reads a key of at least 32 bytes.
func (c *checker) secret(key, name string) []byte {
	if c.needed(key, name) == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	text = bytes.TrimRight(text, "\r\n")
	if err == nil && len(text) < 32 {
		err = fmt.Errorf("%s has %d bytes; at least 32 are needed, as from: openssl rand -hex 32", name, len(text))
	}
	c.note(key, err)
	return text
}

func (f *file) check(c *checker) numverify.Config {
	cfg := numverify.Config{
		Issuer: c.issuer(f.Issuer), Listen: f.Listen, CertFile: f.TLS.CertFile, KeyFile: f.TLS.KeyFile,
		PROXYProtocol: f.Proxies.PROXYProtocol,
		Origin:        origin.Config{Proxies: c.prefixes("proxies.trusted", f.Proxies.Trusted), NAT64: c.prefixes("nat64", f.NAT64)},
		Socket:        c.needed("simbindd.socket", f.Simbindd.Socket), Domain: f.Simbindd.Domain,
		AskTimeout:  c.duration("simbindd.timeout", f.Simbindd.Timeout, time.Second, time.Minute),
		ClientsFile: c.needed("clients_file", f.ClientsFile), SigningFile: c.needed("signing_keys_file", f.SigningKeys),
		SubjectKey: c.secret("subject_key_file", f.SubjectKeyFile),
		AuditFile:  f.Audit.File, WorkInProgress: f.WorkInProgress, ConsentURL: f.ConsentURL,
		CodeLife:  c.duration("code_life", f.CodeLife, time.Minute, time.Minute),
		TokenLife: c.duration("token_life", f.TokenLife, 5*time.Minute, 5*time.Minute),
		Drain:     c.duration("drain", f.Drain, 10*time.Second, 5*time.Minute),
		PerClient: 100, PerAddress: 5, MetricsListen: f.Metrics.Listen,
	}
	c.front(f, &cfg)
	c.sharing(f, &cfg)
	switch cfg.Continuity = resource.Continuity(f.Continuity); cfg.Continuity {
	case "":
		cfg.Continuity = resource.ByToken
	case resource.ByToken, resource.Strict:
	default:
		c.failf("continuity", "%q: it is token or strict", f.Continuity)
	}
	if f.Audit.File != "" {
		cfg.AuditKey = c.secret("audit.key_file", f.Audit.KeyFile)
	}
	for key, limit := range map[string]struct{ from, to *float64 }{
		"limits.per_client": {f.Limits.PerClient, &cfg.PerClient}, "limits.per_address": {f.Limits.PerAddress, &cfg.PerAddress},
	} {
		if limit.from == nil {
			continue
		}
		if *limit.to = *limit.from; *limit.to < 0 {
			c.failf(key, "it is a number of requests a second, 0 for no limit")
		}
	}
	return cfg
}

func (c *checker) issuer(text string) string {
	u, err := url.Parse(c.needed("issuer", text))
	if err == nil && text != "" && (u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Scheme != "https" && !loopback(u.Host)) {
		err = fmt.Errorf("%q is not an https URL without path", text)
	}
	c.note("issuer", err)
	return text
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// front is what stands before the service.
func (c *checker) front(f *file, cfg *numverify.Config) {
	switch strings.ToLower(f.Proxies.Header) {
	case "":
	case "forwarded":
		cfg.Origin.Header = origin.Forwarded
	case "x-forwarded-for":
		cfg.Origin.Header = origin.XForwardedFor
	default:
		c.failf("proxies.header", "%q: it is forwarded or x-forwarded-for", f.Proxies.Header)
	}
	c.note("proxies", cfg.Origin.Check())
	if f.Proxies.PROXYProtocol && len(f.Proxies.Trusted) == 0 {
		c.failf("proxies.proxy_protocol", "it needs proxies.trusted")
	}
	if len(f.Listen) == 0 {
		c.failf("listen", "it is needed, as [\":8443\"]")
	}
	if (f.TLS.CertFile == "") != (f.TLS.KeyFile == "") {
		c.failf("tls", "cert_file and key_file go together")
	}
	for _, address := range f.Listen {
		if f.TLS.CertFile == "" && !f.AllowPlain && !loopback(address) {
			c.failf("listen", "%s is not on loopback, and there is no tls; where a proxy ends TLS, say allow_plain: true", address)
		}
	}
	if address := f.Metrics.Listen; address != "" && !loopback(address) {
		c.failf("metrics.listen", "%s is not on loopback", address)
	}
}

func (c *checker) sharing(f *file, cfg *numverify.Config) {
	switch f.State {
	case "", "memory":
		if f.NATS.URL != "" {
			c.failf("nats", "it is for state: nats")
		}
	case "nats":
		cfg.NATS = numverify.NATS{
			URL: c.needed("nats.url", f.NATS.URL), CredsFile: f.NATS.CredsFile, CAFile: f.NATS.CAFile, Bucket: f.NATS.Bucket, Replicas: f.NATS.Replicas,
		}
		if cfg.NATS.Bucket == "" {
			cfg.NATS.Bucket = "numverify"
		}
		if cfg.NATS.Replicas == 0 {
			cfg.NATS.Replicas = 1
		}
	default:
		c.failf("state", "%q: it is memory or nats", f.State)
	}
}
