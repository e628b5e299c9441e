package node

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/media/transcribe"
)

// Engines that turn speech into text, besides EngineNone.
const (
	EnginePocketsphinx = transcribe.EnginePocketsphinx
	EngineWebSocket    = transcribe.EngineWebSocket
)

// Engines that speak.
const (
	EngineESpeak  = "espeak-ng"
	EngineCommand = "command"
	EngineHTTP    = "http"
	EngineNone    = "none"
)

// fsyncAlways has each message on the disk before it counts as written.
const fsyncAlways = "always"

// Listener is a transport and where it listens. As a text it is "udp://127.0.0.1:5060".
type Listener struct {
	Network string // "udp", "tcp" or "tls"
	Addr    netip.AddrPort
}

func (l Listener) String() string { return l.Network + "://" + l.Addr.String() }

// Ports of SIP (RFC 3261 section 19.1.2).
const (
	sipPort  = 5060
	sipsPort = 5061
)

// parseListener reads "udp://ADDRESS:PORT". The port may be left out, an empty address stands for all of IPv4. Names other
// than localhost are not taken: SIP has to know the address that it speaks from before it opens the socket.
func parseListener(s string) (Listener, error) {
	network, address, found := strings.Cut(s, "://")
	port := sipPort
	switch {
	case !found || (network != "udp" && network != "tcp" && network != "tls"):
		return Listener{}, errors.New("must be udp://ADDRESS:PORT, tcp://… or tls://…")
	case network == "tls":
		port = sipsPort
	}
	addr, err := parseAddrPort(address, port)
	if err != nil {
		return Listener{}, err
	}
	return Listener{network, addr}, nil
}

// parseAddrPort reads ADDRESS:PORT, ADDRESS or :PORT; port stands in for one that is missing.
func parseAddrPort(s string, port int) (netip.AddrPort, error) {
	host, service, err := splitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch host {
	case "":
		host = "0.0.0.0"
	case "localhost":
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no IP address", host)
	}
	if service != "" {
		if port, err = parsePort(service, 0); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
}

// splitHostPort splits HOST, HOST:PORT, [IPv6] and [IPv6]:PORT; an IPv6 address needs no brackets where no port follows.
func splitHostPort(s string) (host, port string, err error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, "", nil
	}
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok = strings.Cut(rest, "]")
		port, colon := strings.CutPrefix(rest, ":")
		if !ok || (rest != "" && !colon) || (colon && port == "") {
			return "", "", fmt.Errorf("%q is not [ADDRESS]:PORT", s)
		}
		return host, port, nil
	}
	host, port, colon := strings.Cut(s, ":")
	if colon && port == "" {
		return "", "", fmt.Errorf("%q has a colon, but no port", s)
	}
	return host, port, nil
}

func parsePort(s string, least int) (int, error) {
	port, err := strconv.Atoi(s)
	if err != nil || port < least || port > 65535 {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return port, nil
}

// PortRange is the UDP ports of RTP, both ends included. As a text it is "20000-29999".
type PortRange struct{ Min, Max int }

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.Min, r.Max) }

// pairs is how many pairs of an even port and the next lie in the range: as many calls can have sound at a time.
func (r PortRange) pairs() int {
	first := r.Min + r.Min%2
	return max(0, (r.Max-first+1)/2)
}

func parsePortRange(s string) (PortRange, error) {
	low, high, found := strings.Cut(s, "-")
	first, err1 := strconv.Atoi(strings.TrimSpace(low))
	last, err2 := strconv.Atoi(strings.TrimSpace(high))
	if !found || cmp.Or(err1, err2) != nil {
		return PortRange{}, errors.New("must be a range of ports such as 20000-29999")
	}
	return PortRange{first, last}, nil
}

// parsePrefix reads a CIDR, or one address alone. Bits beyond the mask are dropped, and IPv4 in IPv6 becomes IPv4, because
// it is such addresses that are compared with it.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no range of addresses such as 10.0.0.0/8", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q mixes IPv4 and IPv6", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// formatDuration leaves out the zeros that [time.Duration.String] ends with: 24h, not 24h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
