package radius

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A Client is a NAS, or a proxy before several, that may send to us.
type Client struct {
	// Name is unique; it is the client's label in logs and metrics.
	Name string
	// Group names the clients that stand for each other, such as a pair of
	// proxies: what one of them brought, another may go on with and end. Nodes of
	// different groups are different nodes, whatever they are called. A client
	// without one is a group of its own name.
	Group string
	// Prefix holds the UDP source addresses of the client; the longest prefix
	// decides. The zero Prefix admits none (a client of RadSec alone).
	Prefix netip.Prefix
	// Certificate is the client's name on RadSec: a DNS name of its
	// certificate, or the common name of one that has no DNS name. Empty: it
	// may not use RadSec.
	Certificate string
	// Secret is shared with the client for UDP. RadSec always has "radsec"
	// (RFC 6614 section 2.3).
	Secret []byte
	// RequireMessageAuthenticator drops requests without one.
	RequireMessageAuthenticator bool
	// MSISDNStrip are prefixes of which the first that fits is taken off
	// Calling-Station-Id; nil means "+" and "00".
	MSISDNStrip []string
	// Nodes are the names (NAS-Identifier, else address) that the client may
	// speak for; none means any.
	Nodes []string
	// BlindDelay is how late an event may come of a NAS that tells no time at
	// all, at most [MaxBlindDelay]; zero means the Registry's.
	BlindDelay time.Duration
	// LossTimeout is after how long without a request a node of the client
	// counts as down (rule T8); zero means never. The Registry's own loss
	// timeout runs from then on.
	LossTimeout time.Duration
}

// Owner is whose the nodes are that the client brings: its group's or, without
// one, its own.
func (c Client) Owner() string { return cmp.Or(c.Group, c.Name) }

// MaxBlindDelay bounds Client.BlindDelay.
const MaxBlindDelay = 10 * time.Minute

// radsecSecret is the fixed shared secret of RadSec.
const radsecSecret = "radsec"

// A client is a Client as it is used. It is read-only.
type client struct {
	Client
	owner  string // of the nodes that it brings: its group
	key    *hmacKey
	nodes  map[string]bool
	counts *clientCounts
}

// allows reports whether the client may speak for a node.
func (c *client) allows(node string) bool { return len(c.nodes) == 0 || c.nodes[node] }

// speaksFor reports whether the client may speak for a NAS. A second name that
// it may not speak for is left out.
func (c *client) speaksFor(who *nas) bool {
	if !c.allows(who.also) {
		who.also = ""
	}
	return c.allows(who.node)
}

// origin is what the client adds to its requests.
func (c *client) origin(from netip.Addr, arrived time.Time, n *names) Origin {
	return Origin{
		From: from, Owner: c.owner, Arrived: arrived, BlindDelay: c.BlindDelay, MSISDNStrip: c.MSISDNStrip, names: n,
	}
}

// clients finds the client of a request. It is read-only.
type clients struct {
	all           []*client
	byPrefix      map[netip.Prefix]*client
	bits4, bits6  []int // lengths that occur, longest first
	byCertificate map[string]*client
}

// newClients checks the list and builds the table; counts are shared with an
// earlier client of the same name.
func newClients(list []Client, counts func(name string) *clientCounts) (*clients, error) {
	t := &clients{byPrefix: map[netip.Prefix]*client{}, byCertificate: map[string]*client{}}
	names := map[string]bool{}
	for _, def := range list {
		if def.Name == "" || names[def.Name] {
			return nil, fmt.Errorf("radius client %q: the name is empty or not unique", def.Name)
		}
		names[def.Name] = true
		if err := t.insert(def, counts(def.Name)); err != nil {
			return nil, fmt.Errorf("radius client %q: %w", def.Name, err)
		}
	}
	return t, nil
}

func (t *clients) insert(def Client, counts *clientCounts) error {
	c := &client{Client: def, owner: def.Owner(), counts: counts, key: newHMACKey(def.Secret)}
	if len(def.Nodes) > 0 {
		c.nodes = map[string]bool{}
		for _, node := range def.Nodes {
			c.nodes[node] = true
		}
	}
	if def.LossTimeout < 0 {
		return errors.New("the loss timeout is negative")
	}
	if def.BlindDelay < 0 || def.BlindDelay > MaxBlindDelay {
		return fmt.Errorf("the blind delay %v is not within 0 to %v", def.BlindDelay, MaxBlindDelay)
	}
	if def.Prefix.IsValid() {
		if err := t.insertPrefix(c); err != nil {
			return err
		}
	} else if def.Certificate == "" {
		return errors.New("neither a prefix nor a certificate says who it is")
	}
	if def.Certificate != "" {
		if t.byCertificate[def.Certificate] != nil {
			return fmt.Errorf("certificate %q is another client's", def.Certificate)
		}
		radsec := *c
		radsec.Secret = []byte(radsecSecret)
		radsec.key = newHMACKey(radsec.Secret)
		t.byCertificate[def.Certificate] = &radsec
	}
	t.all = append(t.all, c)
	return nil
}

func (t *clients) insertPrefix(c *client) error {
	p := c.Prefix
	if len(c.Secret) == 0 {
		return errors.New("no secret")
	}
	if p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("prefix %v is not a prefix with its host bits clear", p)
	}
	if t.byPrefix[p] != nil {
		return fmt.Errorf("prefix %v is another client's", p)
	}
	t.byPrefix[p] = c
	bits := &t.bits6
	if p.Addr().Is4() {
		bits = &t.bits4
	}
	if !slices.Contains(*bits, p.Bits()) {
		*bits = append(*bits, p.Bits())
		slices.SortFunc(*bits, func(a, b int) int { return cmp.Compare(b, a) })
	}
	return nil
}

// lookup finds the client of an unmapped address without a zone, or nil.
func (t *clients) lookup(addr netip.Addr) *client {
	lengths := t.bits6
	if addr.Is4() {
		lengths = t.bits4
	}
	for _, bits := range lengths {
		p, err := addr.Prefix(bits)
		if err != nil {
			return nil
		}
		if c := t.byPrefix[p]; c != nil {
			return c
		}
	}
	return nil
}

// mayBring reports whether a client of the owner may speak for a node.
func (t *clients) mayBring(owner, node string) bool {
	return slices.ContainsFunc(t.all, func(c *client) bool { return c.owner == owner && c.allows(node) })
}
