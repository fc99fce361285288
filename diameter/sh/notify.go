package sh

import (
	"errors"
	"strings"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// How a Push-Notification-Request is answered.
var (
	taken       = diameter.Result{Code: 2001}
	unreadable  = diameter.Result{Code: 5004} // DIAMETER_INVALID_AVP_VALUE
	noCommand   = diameter.Result{Code: 3001} // DIAMETER_COMMAND_UNSUPPORTED
	nobody      = diameter.Result{Vendor: vendor, Code: errorUserUnknown}
	notAskedFor = diameter.Result{Vendor: vendor, Code: errorNoSubscription}
)

// notified takes a request of an HSS (TS 29.329 clause 6.1.7). What cannot be
// read of it makes what was known void: something changed.
func (c *Client) notified(m diameter.Message) diameter.Result {
	result := c.notify(m)
	if result == taken {
		c.counts.notified.Add(1)
	} else {
		c.counts.rejected.Add(1)
	}
	return result
}

func (c *Client) notify(m diameter.Message) diameter.Result {
	switch {
	case m.Command() != cmdNotify:
		return noCommand
	case c.cfg.Subscribe == 0 || c.cfg.Changed == nil:
		return notAskedFor
	}
	said, err := decodeNotification(m)
	switch {
	case err != nil && said.IMSI == 0:
		return unreadable
	case said.IMSI == 0:
		return nobody
	}
	if c.cfg.Subscribe != MSISDN {
		// The numbers of all identities: which of them is of this SIM, only an
		// answer to a request says.
		said.MSISDN = 0
	}
	c.flights.changed(said.IMSI)
	c.cfg.Changed(said)
	if said.MSISDN == 0 {
		c.counts.void.Add(1)
	}
	if err != nil {
		return unreadable
	}
	return taken
}

// decodeNotification reads a Push-Notification-Request. With an error there is
// no number, but an IMSI if it could be read. Nothing of the message is kept.
func decodeNotification(m diameter.Message) (Change, error) {
	var imsi binding.IMSI
	var data []byte
	name := func(text []byte) error {
		one := imsiOf(string(text))
		if one != 0 && imsi != 0 && one != imsi {
			imsi = 0
			return errors.New("it names two subscribers")
		}
		if one != 0 {
			imsi = one
		}
		return nil
	}
	err := m.Each(func(a diameter.AVP) error {
		switch {
		case a.Vendor == 0 && a.Code == avpUserName:
			return name(a.Data)
		case a.Vendor == vendor && a.Code == avpUserIdentity:
			return a.Each(func(a diameter.AVP) error {
				if a.Vendor == vendor && a.Code == avpPublicIdentity {
					return name(a.Data)
				}
				return nil
			})
		}
		return takeData(&data, a)
	})
	if err != nil {
		return Change{IMSI: imsi}, malformed(err)
	}
	said, err := readData(data)
	if err == nil && said.imsi != 0 && said.imsi != imsi {
		err = malformed(errors.New("it is about another IMSI"))
	}
	if err != nil {
		return Change{IMSI: imsi}, err
	}
	return Change{IMSI: imsi, MSISDN: said.msisdn}, nil
}

// maxIdentity is longer than any identity that is made of an IMSI.
const maxIdentity = 128

// imsiOf is the IMSI in an identity as a request of ours has it, or zero.
func imsiOf(identity string) binding.IMSI {
	if len(identity) > maxIdentity {
		return 0
	}
	user, realm, found := strings.Cut(strings.TrimPrefix(identity, "sip:"), "@")
	if found && !(strings.HasPrefix(realm, "ims.mnc") && strings.HasSuffix(realm, ".3gppnetwork.org")) {
		return 0
	}
	if !found && user != identity {
		return 0
	}
	imsi, err := binding.ParseIMSI(user)
	if err != nil {
		return 0
	}
	return imsi
}
