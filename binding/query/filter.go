package query

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"

	"github.com/simbind/simbind/binding"
)

// A filter lets a change pass if every attribute that it names has one of the
// values that it names.
type filter struct {
	kinds   []binding.ChangeKind
	domains []string
	msisdns []binding.MSISDN
	imsis   []binding.IMSI
	addrs   []netip.Prefix
}

func readFilter(args [][]byte) (f filter, err error) {
	for _, arg := range args {
		if err := f.add(arg); err != nil {
			return f, fmt.Errorf("filter %s: %w", quoted(arg), err)
		}
	}
	return f, nil
}

func (f *filter) add(arg []byte) error {
	name, v, has := bytes.Cut(arg, []byte("="))
	val := string(v)
	var buf [maxWord]byte
	switch word := string(capitals(&buf, name)); {
	case !has:
		kind, err := binding.ParseChangeKind(string(bytes.ToLower(arg)))
		f.kinds = append(f.kinds, kind)
		return err
	case word == "DOMAIN":
		f.domains = append(f.domains, val)
		return nil
	case word == "MSISDN":
		m, err := binding.ParseMSISDN(val)
		f.msisdns = append(f.msisdns, m)
		return err
	case word == "IMSI":
		i, err := binding.ParseIMSI(val)
		f.imsis = append(f.imsis, i)
		return err
	case word == "ADDR":
		p, err := readPrefix(val)
		f.addrs = append(f.addrs, p)
		return err
	}
	return fmt.Errorf("choose a kind of change, domain=, msisdn=, imsi= or addr=")
}

func readPrefix(s string) (netip.Prefix, error) {
	if a, err := binding.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("not an address or prefix")
	}
	return p.Masked(), nil
}

// passes judges by the holder before and after: who watches a number also sees
// it go. A filter by address lets no change of a mere subscriber pass.
func (f *filter) passes(c *binding.Change) bool {
	return (len(f.kinds) == 0 || slices.Contains(f.kinds, c.Kind)) &&
		(len(f.domains) == 0 || slices.Contains(f.domains, c.Domain)) &&
		(len(f.msisdns) == 0 || slices.Contains(f.msisdns, c.Now.MSISDN) || slices.Contains(f.msisdns, c.Was.MSISDN)) &&
		(len(f.imsis) == 0 || slices.Contains(f.imsis, c.Now.IMSI) || slices.Contains(f.imsis, c.Was.IMSI)) &&
		(len(f.addrs) == 0 || slices.ContainsFunc(f.addrs, func(p netip.Prefix) bool {
			return c.Addr.Prefix.IsValid() && p.Overlaps(c.Addr.Prefix)
		}))
}
