package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
)

// ErrRefused is the reason why a request was not made at all: its URL is not one to send to, or the configuration
// forbids the host or the address. To try again would change nothing.
var ErrRefused = errors.New("refused")

// policy says where requests may go.
type policy struct {
	hosts  []string // globs in lower case; none: any
	denied []netip.Prefix
}

func newPolicy(hosts []string, denied []netip.Prefix) (policy, error) {
	var p policy
	for _, glob := range hosts {
		if _, err := path.Match(glob, ""); err != nil || glob == "" || strings.ContainsAny(glob, "/@ ") {
			return policy{}, fmt.Errorf("webhook.allow_hosts: %q is not a glob over a host", glob)
		}
		p.hosts = append(p.hosts, strings.ToLower(glob))
	}
	for _, prefix := range denied {
		if !prefix.IsValid() {
			return policy{}, errors.New("webhook.deny_cidrs: a range is not valid")
		}
		p.denied = append(p.denied, unmapPrefix(prefix))
	}
	return p, nil
}

// unmapPrefix gives a range of IPv4-mapped IPv6 addresses as the IPv4 range that it stands for.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// checkURL is asked before every request, those that a redirect leads to included.
func (p policy) checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: the URL is neither http nor https", ErrRefused)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "" {
		return fmt.Errorf("%w: the URL has no host", ErrRefused)
	}
	if len(p.hosts) == 0 {
		return nil
	}
	for _, glob := range p.hosts {
		if ok, err := path.Match(glob, host); ok && err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: host %s is not in webhook.allow_hosts", ErrRefused, host)
}

var (
	// nat64 is the well-known prefix under which IPv6 reaches IPv4 addresses (RFC 6052 section 2.1).
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
)

// checkAddr is asked for the IP address that is really dialled. One that stands for other addresses is checked as each of
// them.
func (p policy) checkAddr(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap() // a prefix contains no address with a zone
	reached := []netip.Addr{addr}
	switch {
	case nat64.Contains(addr):
		b := addr.As16()
		reached = append(reached, netip.AddrFrom4([4]byte(b[12:])))
	case addr.IsUnspecified(): // connecting to it reaches the host itself
		reached = append(reached, loopback4, netip.IPv6Loopback())
	}
	for _, prefix := range p.denied {
		if slices.ContainsFunc(reached, prefix.Contains) {
			return fmt.Errorf("%w: address %s is in webhook.deny_cidrs", ErrRefused, addr)
		}
	}
	return nil
}

// checkDialled is checkAddr for an address of the form that the net package has. One that holds no IP address is only
// let through when nothing is forbidden.
func (p policy) checkDialled(address string) error {
	if len(p.denied) == 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: webhook.deny_cidrs cannot be checked for %s", ErrRefused, address)
	}
	return p.checkAddr(addr)
}
