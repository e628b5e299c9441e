package sipstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/miekg/dns"
)

// NAPTR is a record of the kind by which a domain tells the transports that it takes SIP over (RFC 3263 section 4.1, RFC
// 3403 section 4.1).
type NAPTR struct {
	Order, Preference uint16 // the lowest first
	Flags, Service    string // "s" and "SIP+D2U", "SIP+D2T" or "SIPS+D2T": other records are of no use here
	Replacement       string // the name of SRV records
}

// naptrResolver is a resolver that knows NAPTR records, which [net.Resolver] does not.
type naptrResolver interface {
	LookupNAPTR(ctx context.Context, name string) ([]NAPTR, error)
}

// choice is a transport that a domain offers, with the name of its SRV records.
type choice struct {
	on   *listener
	name string
}

// chosen returns what a domain prefers of what we have, the best first; none where it has no NAPTR records, or they
// cannot be known. A URI that names its transport is not asked about.
func (l *locator) chosen(ctx context.Context, u sip.Uri, bound []*listener, heard *listener) []choice {
	asks, ok := l.resolver.(naptrResolver)
	if _, named := param(u.UriParams, "transport"); named || !ok {
		return nil
	}
	domain := hostOf(u)
	key := "NAPTR " + domain
	if l.outages.unknown(key) != nil {
		return nil
	}
	records, err := asks.LookupNAPTR(ctx, domain)
	l.outages.lookedUp(ctx, key, err)
	slices.SortStableFunc(records, func(a, b NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var found []choice
	for _, r := range records {
		network := offered(r)
		if network == "" || secure(u) && network != "tls" || len(found) >= maxTargets {
			continue
		}
		on := heard
		if on.network != network {
			on = ofNetwork(bound, network)
		}
		if on != nil {
			found = append(found, choice{on, strings.TrimSuffix(r.Replacement, ".")})
		}
	}
	return found
}

// offered returns the transport of a record; "": it is none of ours, or of another service.
func offered(r NAPTR) string {
	if !strings.EqualFold(r.Flags, "s") || strings.Trim(r.Replacement, ".") == "" {
		return ""
	}
	return map[string]string{"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}[strings.ToUpper(r.Service)]
}

// hostResolver is the operating system's resolver. NAPTR records are asked of the name servers that it is set up with.
type hostResolver struct {
	*net.Resolver
	servers func() (*dns.ClientConfig, error)
}

func newHostResolver() hostResolver {
	return hostResolver{net.DefaultResolver, func() (*dns.ClientConfig, error) {
		return dns.ClientConfigFromFile("/etc/resolv.conf")
	}}
}

// LookupNAPTR implements [naptrResolver]. A name without such records has none, and that is no error.
func (r hostResolver) LookupNAPTR(ctx context.Context, name string) ([]NAPTR, error) {
	conf, err := r.servers()
	if err != nil {
		return nil, fmt.Errorf("NAPTR of %s: %w", name, err)
	}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeNAPTR)
	for _, server := range conf.Servers {
		var res *dns.Msg
		if res, err = askServer(ctx, query, net.JoinHostPort(server, conf.Port)); err != nil {
			continue
		}
		if res.Rcode != dns.RcodeSuccess && res.Rcode != dns.RcodeNameError {
			err = errors.New(dns.RcodeToString[res.Rcode])
			continue
		}
		var records []NAPTR
		for _, rr := range res.Answer {
			if n, ok := rr.(*dns.NAPTR); ok && n.Regexp == "" {
				records = append(records, NAPTR{n.Order, n.Preference, n.Flags, n.Service, n.Replacement})
			}
		}
		return records, nil
	}
	return nil, fmt.Errorf("NAPTR of %s: %w", name, cmp.Or(err, errors.New("there is no name server")))
}

// askServer asks one server, over TCP if the answer is too long for UDP.
func askServer(ctx context.Context, query *dns.Msg, server string) (*dns.Msg, error) {
	res, _, err := new(dns.Client).ExchangeContext(ctx, query, server)
	if err == nil && res.Truncated {
		res, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, query, server)
	}
	return res, err
}
