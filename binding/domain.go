package binding

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Domain is an address domain (3GPP IP-Domain-Id): addresses are unique
// within it.
type Domain struct {
	Name string
	// APNs choose the domain; "*" is any APN that no domain names.
	APNs []string
	// Pools are the prefixes that sessions of the domain may hold (rule T10);
	// none means any.
	Pools []netip.Prefix
	// Widest4 and Widest6 are the shortest prefix lengths that one session may
	// hold; zero means 24 and 48. Whatever they say, no session holds a whole
	// pool.
	Widest4, Widest6 int
}

// MaxDomains bounds the address domains of one configuration.
const MaxDomains = 1 << 15

// CheckDomains reports what is wrong with the domains of one configuration.
func CheckDomains(domains []Domain) error {
	if len(domains) > MaxDomains {
		return fmt.Errorf("more than %d domains", MaxDomains)
	}
	names, apns := map[string]bool{}, map[string]string{}
	for _, d := range domains {
		if d.Name == "" || names[d.Name] {
			return fmt.Errorf("domain name %q is empty or not unique", d.Name)
		}
		names[d.Name] = true
		for _, apn := range d.APNs {
			apn = CanonicalAPN(apn)
			if other, ok := apns[apn]; ok {
				return fmt.Errorf("APN %q is in domain %q and in domain %q", apn, other, d.Name)
			}
			apns[apn] = d.Name
		}
		for _, p := range d.Pools {
			if !p.IsValid() || p != p.Masked() {
				return fmt.Errorf("domain %q: pool %v is not a prefix with its host bits clear", d.Name, p)
			}
		}
		if d.Widest4 < 0 || d.Widest4 > 32 || d.Widest6 < 0 || d.Widest6 > 128 {
			return fmt.Errorf("domain %q: the widest claims /%d and /%d are no prefix lengths", d.Name, d.Widest4, d.Widest6)
		}
	}
	return nil
}

// CanonicalAPN is the network identifier in lower case, without the operator
// identifier ".mnc001.mcc001.gprs" (3GPP TS 23.003 clause 9.1).
func CanonicalAPN(apn string) string {
	apn = strings.ToLower(strings.TrimSuffix(apn, "."))
	if !strings.HasSuffix(apn, ".gprs") {
		return apn
	}
	labels := strings.Split(apn, ".")
	if n := len(labels); n > 3 &&
		strings.HasPrefix(labels[n-2], "mcc") && strings.HasPrefix(labels[n-3], "mnc") {
		return strings.Join(labels[:n-3], ".")
	}
	return apn
}
