package sipstack

import (
	"encoding/binary"
	"net/netip"
)

// finals remembers the final responses to requests that came over UDP, for as long as these may be repeated: 64*T1, which is
// timer J of a server transaction (RFC 3261 section 17.2.2), and timer L of one of an INVITE that got a 2xx (RFC 6026 section 7.1).
//
// sipgo would keep the request and the response as they are parsed, and a timer, for each: some 4 kB in a hundred pieces, which
// the collector of garbage looks at again and again. Here a response is its bytes. Its methods may be called by several goroutines at
// once. A nil one remembers nothing.
type finals struct{ ages *ages }

// maxFinals bounds what is remembered: the responses to some 3,500 requests a second.
const maxFinals = 64 << 20

func newFinals(most int) *finals { return &finals{newAges(most)} }

// keep remembers that the transaction with a key, which is one of [appendKey], has sent this final response to that address.
func (f *finals) keep(key []byte, to netip.AddrPort, res []byte) {
	if f == nil || to.Addr().Zone() != "" {
		return
	}
	var where [addressLength]byte
	ip := to.Addr().As16()
	copy(where[:], ip[:])
	binary.BigEndian.PutUint16(where[len(ip):], to.Port())
	f.ages.keep(key, where[:], res)
}

// addressLength is how many bytes an address has: that of IPv6, and a port.
const addressLength = 16 + 2

// find returns the final response of the transaction with a key, and where it went; false: none is known, or not any more. The
// response must not be changed.
func (f *finals) find(key []byte) (res []byte, to netip.AddrPort, ok bool) {
	if f == nil {
		return nil, to, false
	}
	value, ok := f.ages.find(key)
	if !ok {
		return nil, to, false
	}
	to = netip.AddrPortFrom(netip.AddrFrom16([16]byte(value)).Unmap(), binary.BigEndian.Uint16(value[16:]))
	return value[addressLength:], to, true
}

// close forgets everything, for good.
func (f *finals) close() { f.ages.close() }
