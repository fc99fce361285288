package config

import (
	"time"

	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/directory"
	"github.com/simbind/simbind/directory/udm"
)

// A Directory says where numbers are found that signalling does not bring. A
// nil source is off.
type Directory struct {
	Learned bool
	File    *DirectoryFile
	Sh      *sh.Config
	UDM     *udm.Config

	TTL, NegativeTTL time.Duration
	Rate, Entries    int
}

// DirectoryFile is an export.
type DirectoryFile struct{ Path, Format string }

type directorySection struct {
	Learned     *bool                 `yaml:"learned"`
	File        *directoryFileSection `yaml:"file"`
	Sh          *shSection            `yaml:"sh"`
	UDM         *udmSection           `yaml:"udm"`
	TTL         string                `yaml:"ttl"`
	NegativeTTL string                `yaml:"negative_ttl"`
	Rate        *int                  `yaml:"rate"`
	Entries     *int                  `yaml:"entries"`
}

type directoryFileSection struct {
	Path   string `yaml:"path"`
	Format string `yaml:"format"`
}

type shSection struct {
	OriginHost       string             `yaml:"origin_host"`
	OriginRealm      string             `yaml:"origin_realm"`
	DestinationRealm string             `yaml:"destination_realm"`
	DestinationHost  string             `yaml:"destination_host"`
	Servers          []diameterUpstream `yaml:"servers"`
	TLS              *tlsClient         `yaml:"tls"`
	Identity         string             `yaml:"identity"`
	MNCDigits        *int               `yaml:"mnc_digits"`
	Subscribe        string             `yaml:"subscribe"`
	Timeout          string             `yaml:"timeout"`
	Reconnect        string             `yaml:"reconnect"`
	Watchdog         string             `yaml:"watchdog"`
}

type udmSection struct {
	URL       string      `yaml:"url"`
	TLS       *tlsClient  `yaml:"tls"`
	TokenFile string      `yaml:"token_file"`
	NRF       *nrfSection `yaml:"nrf"`
	Timeout   string      `yaml:"timeout"`
}

type nrfSection struct {
	URL          string `yaml:"url"`
	NFInstanceID string `yaml:"nf_instance_id"`
	NFType       string `yaml:"nf_type"`
}

// maxRate bounds the questions a second, maxEntries what is kept near.
const (
	maxRate    = 1_000_000
	maxEntries = 100_000_000
)

func (s *directorySection) check(p place) *Directory {
	cfg := &Directory{
		Learned: s.Learned == nil || *s.Learned, TTL: p.key("ttl").duration(s.TTL), NegativeTTL: p.key("negative_ttl").duration(s.NegativeTTL),
		Rate: p.key("rate").count(s.Rate, maxRate), Entries: p.key("entries").count(s.Entries, maxEntries),
	}
	if s.File != nil {
		at := p.key("file")
		at.key("path").required(s.File.Path)
		cfg.File = &DirectoryFile{s.File.Path, at.key("format").oneOf(s.File.Format, directory.CSV, directory.NDJSON)}
	}
	if s.Sh != nil {
		cfg.Sh = s.Sh.check(p.key("sh"))
	}
	if s.UDM != nil {
		cfg.UDM = s.UDM.check(p.key("udm"))
	}
	return cfg
}

func (s *shSection) check(p place) *sh.Config {
	before := len(p.problems)
	cfg := &sh.Config{
		OriginHost: s.OriginHost, OriginRealm: s.OriginRealm, DestinationRealm: s.DestinationRealm, DestinationHost: s.DestinationHost,
		Servers: (&diameterSection{Upstreams: s.Servers}).upstreams(p.key("servers")), TLS: s.TLS.check(p.key("tls")),
		MNCDigits: p.key("mnc_digits").count(s.MNCDigits, 3), Timeout: p.key("timeout").duration(s.Timeout),
		Reconnect: p.key("reconnect").duration(s.Reconnect), Watchdog: p.key("watchdog").duration(s.Watchdog),
	}
	p.key("origin_host").required(s.OriginHost)
	p.key("origin_realm").required(s.OriginRealm)
	form, err := sh.ParseForm(p.key("identity").oneOf(s.Identity, "public", "private", "imsi"))
	cfg.Identity = form
	p.key("identity").check(err)
	cfg.Subscribe = map[string]uint32{"none": 0, "msisdn": sh.MSISDN, "ims-public-identity": sh.IMSPublicIdentity}[p.key("subscribe").oneOf(s.Subscribe, "none", "msisdn", "ims-public-identity")]
	if len(s.Servers) == 0 {
		p.key("servers").failf("is required, at least one")
	}
	if len(p.problems) == before {
		checkServers(p, p.key("servers"), cfg.Servers, func(list []diameter.Upstream) error {
			c := *cfg
			c.Servers = list
			return c.Check()
		})
	}
	return cfg
}

func (s *udmSection) check(p place) *udm.Config {
	before := len(p.problems)
	cfg := &udm.Config{
		URL: s.URL, TLS: s.TLS.check(p.key("tls")), TokenFile: p.key("token_file").secretFile(s.TokenFile), Timeout: p.key("timeout").duration(s.Timeout),
	}
	p.key("url").required(s.URL)
	if s.NRF != nil {
		cfg.Token = &udm.Token{URL: s.NRF.URL, NFInstanceID: s.NRF.NFInstanceID, NFType: s.NRF.NFType}
	}
	if len(p.problems) == before {
		p.check(cfg.Check())
	}
	return cfg
}
