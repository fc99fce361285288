package udm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"
)

// Config of the client. Zero values mean the defaults.
type Config struct {
	// URL is the apiRoot of the UDM, or of an SCP before it (TS 29.501 clause
	// 4.4.1): scheme, authority, and a prefix if it has one. With http,
	// HTTP/2 is spoken in cleartext.
	URL string
	// TLS holds the authorities of the UDM and of the NRF, and our certificate
	// if they demand one; nil: the system's authorities, and none.
	TLS *tls.Config
	// TokenFile holds an access token, which somebody else keeps fresh; it is
	// read again when it is a minute old, and when the UDM refuses it.
	TokenFile string
	// Token says where to get access tokens. With neither, none is shown.
	Token *Token
	// Timeout bounds a request, with that for a token, 2 s by default.
	Timeout time.Duration
	// InFlight bounds the requests that wait for their answer, 256 by default.
	InFlight int
	// Now is the clock, time.Now by default.
	Now func() time.Time
}

// A Token says how an NRF is asked for an access token (TS 29.510 clause
// 6.3.5.2). The NRF knows us by our certificate.
type Token struct {
	// URL is the apiRoot of the NRF.
	URL string
	// NFInstanceID is the UUID under which the NRF knows us, NFType our type, AF
	// by default.
	NFInstanceID, NFType string
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.InFlight == 0 {
		c.InFlight = 256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Token != nil && c.Token.NFType == "" {
		token := *c.Token
		token.NFType = "AF"
		c.Token = &token
	}
	return c
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	if err := checkRoot(c.URL); err != nil {
		return fmt.Errorf("udm: url: %w", err)
	}
	switch {
	case c.Timeout < 0:
		return errors.New("udm: timeout is negative")
	case c.InFlight < 1 || c.InFlight > 1<<16:
		return fmt.Errorf("udm: in_flight %d is not within 1 to %d", c.InFlight, 1<<16)
	case c.Token == nil:
		return nil
	case c.TokenFile != "":
		return errors.New("udm: a token is in a file, or an NRF gives it")
	}
	if err := checkRoot(c.Token.URL); err != nil {
		return fmt.Errorf("udm: nrf: url: %w", err)
	}
	if !isUUID(c.Token.NFInstanceID) {
		return errors.New("udm: nrf: nf_instance_id is no UUID")
	}
	return nil
}

// checkRoot demands an apiRoot.
func checkRoot(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("not a URL of http or https with a host")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("more than scheme, authority and prefix")
	}
	return nil
}

func isUUID(text string) bool {
	ok, _ := regexp.MatchString(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`, text)
	return ok
}
