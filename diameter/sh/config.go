package sh

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// A Form is how a request names the subscriber. TS 29.328 knows users of the
// IMS, so it depends on the HSS in which form it takes an IMSI.
type Form uint8

// The forms.
const (
	// FormPublic: the temporary Public User Identity that belongs to the IMSI
	// (TS 23.003 clause 13.4B) is in User-Identity, its Private User Identity
	// (clause 13.3) in User-Name.
	FormPublic Form = iota
	// FormPrivate: User-Identity is empty, the Private User Identity is in
	// User-Name.
	FormPrivate
	// FormIMSI: User-Identity is empty, the IMSI itself is in User-Name.
	FormIMSI
)

// ParseForm reads "public", "private" or "imsi".
func ParseForm(name string) (Form, error) {
	switch name {
	case "public":
		return FormPublic, nil
	case "private":
		return FormPrivate, nil
	case "imsi":
		return FormIMSI, nil
	}
	return 0, fmt.Errorf("sh: identity %q is not public, private or imsi", name)
}

// Config of the client. Zero values mean the defaults.
type Config struct {
	// OriginHost and OriginRealm are our DiameterIdentity.
	OriginHost, OriginRealm string
	// DestinationRealm is that of the HSS, OriginRealm by default;
	// DestinationHost names one HSS of it, behind agents.
	DestinationRealm, DestinationHost string
	// Servers are the HSSs, or agents before them. Of those of the best
	// priority that are connected one is asked.
	Servers []diameter.Upstream
	// TLS holds our certificate, and RootCAs for those of servers that want TLS.
	TLS *tls.Config
	// Timeout bounds how long an answer is awaited, 2 s by default.
	Timeout time.Duration
	// InFlight bounds the requests that wait for their answer, 256 by default.
	InFlight int
	// Reconnect is how long a lost server is left alone, 5 s by default;
	// Watchdog is Tw of RFC 3539 section 3.4.1, 30 s by default.
	Reconnect, Watchdog time.Duration
	// Identity is how the subscriber is named, FormPublic by default.
	Identity Form
	// MNCDigits is how many digits of an IMSI are the MNC, 2 or 3: the realm of
	// the identities of TS 23.003 names it. 2 by default.
	MNCDigits int
	// Subscribe is the Data-Reference of which changes are to be told (TS 29.328
	// clause 7.6): MSISDN, or IMSPublicIdentity for an HSS that takes no
	// subscription to MSISDN. Zero: none, what is known lasts for its TTL.
	Subscribe uint32
	// Changed is told what an HSS says without being asked, if Subscribe is set.
	// It must not block.
	Changed func(Change)
}

// A Change is what an HSS told of a subscriber. MSISDN is zero when it does not
// tell the number, or not clearly: what was known is void then, and is to be
// asked for again.
type Change struct {
	IMSI   binding.IMSI
	MSISDN binding.MSISDN
}

// Values of Data-Reference (TS 29.328 clause 7.6).
const (
	// IMSPublicIdentity are all public identities of a subscriber.
	IMSPublicIdentity = 10
	// MSISDN is the number of a subscriber.
	MSISDN = 17
)

func (c Config) withDefaults() Config {
	if c.InFlight == 0 {
		c.InFlight = 256
	}
	if c.MNCDigits == 0 {
		c.MNCDigits = 2
	}
	if c.DestinationRealm == "" {
		c.DestinationRealm = c.OriginRealm
	}
	return c
}

// connection is the configuration of the connections.
func (c Config) connection() diameter.ClientConfig {
	return diameter.ClientConfig{
		Application: application, OriginHost: c.OriginHost, OriginRealm: c.OriginRealm, DestinationRealm: c.DestinationRealm,
		DestinationHost: c.DestinationHost, Servers: c.Servers, TLS: c.TLS, AnswerTimeout: c.Timeout, InFlight: c.InFlight,
		Reconnect: c.Reconnect, Watchdog: c.Watchdog,
	}
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.MNCDigits != 2 && c.MNCDigits != 3:
		return fmt.Errorf("sh: mnc_digits %d is not 2 or 3", c.MNCDigits)
	case c.Identity > FormIMSI:
		return errors.New("sh: there is no such form of identity")
	case c.Subscribe != 0 && c.Subscribe != MSISDN && c.Subscribe != IMSPublicIdentity:
		return fmt.Errorf("sh: changes of Data-Reference %d tell no number", c.Subscribe)
	}
	if err := c.connection().Check(); err != nil {
		text := strings.TrimPrefix(err.Error(), "diameter: ")
		if about, ok := strings.CutPrefix(text, "upstream "); ok {
			text = "server " + about
		}
		return fmt.Errorf("sh: %s", text)
	}
	return nil
}
