package scenario

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// AddHost makes a host name known, with its addresses in this order. A connection to the name goes to the first.
func (m *Memory) AddHost(name string, addrs ...netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts[canonical(name)] = addrs
}

// AddService makes the SRV records of a service known, such as "sip", "udp", "example.com".
func (m *Memory) AddService(service, proto, name string, records ...*net.SRV) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services[serviceName(service, proto, name)] = records
}

// LookupNetIP looks up a host's addresses, as [net.Resolver.LookupNetIP] does: network is "ip", "ip4" or "ip6".
func (m *Memory) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, a := range m.lookUp(host) {
		if network == "ip" || a.Unmap().Is4() == (network == "ip4") {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return nil, notFound(host)
	}
	return addrs, nil
}

// LookupSRV looks up the SRV records of a service, as [net.Resolver.LookupSRV] does, in the order of [Memory.AddService].
func (m *Memory) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	full := serviceName(service, proto, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	records := m.services[full]
	if len(records) == 0 {
		return "", nil, notFound(full)
	}
	return full + ".", slices.Clone(records), nil
}

func (m *Memory) lookUp(host string) []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hosts[canonical(host)]
}

func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

func serviceName(service, proto, name string) string {
	return canonical("_" + service + "._" + proto + "." + name)
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
