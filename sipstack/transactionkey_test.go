package sipstack

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTransactionKeyIsThatOfTheLibrary(t *testing.T) {
	for via, readable := range map[string]bool{
		"SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport":                            true,
		"SIP/2.0/UDP 127.0.0.1:5070;rport=1;branch=z9hG4bK1;received=192.0.2.1":       true,
		"SIP/2.0/UDP peer.example;branch=z9hG4bKa.b-c":                                true,
		"SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK1":                              true,
		"SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1":                                   true,
		"SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK":                                   false,
		"SIP/2.0/UDP 127.0.0.1:5070;branch=1":                                         false,
		"SIP/2.0/UDP 127.0.0.1:5070":                                                  false,
		"SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK1":                                  false,
		"SIP/2.0/UDP 127.0.0.1:5070 ;branch=z9hG4bK1":                                 false,
		"SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;branch=z9hG4bK2":                  false,
		"SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;branch":                           false,
		"SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1, SIP/2.0/UDP a.b;branch=z9hG4bK2": false,
		"SIP/2.0/UDP 127.0.0.1:5070;x=\";branch=z9hG4bK1\"":                           false,
		"SIP/2.0/UDP [2001:db8::1;branch=z9hG4bK1":                                    false,
		"SIP/2.0/UDP [2001:db8::1]x:5070;branch=z9hG4bK1":                             false,
		"SIP/2.0/UDP 127.0.0.1:;branch=z9hG4bK1":                                      false,
		"SIP/2.0/UDP 127.0.0.1:70000;branch=z9hG4bK1":                                 false,
		"SIP/2.0/UDP :5060;branch=z9hG4bK1":                                           false,
		"":                                                                            false,
	} {
		key, ok := appendKey(nil, via, "NOTIFY")
		require.Equal(t, readable, ok, via)
		if ok {
			assert.Equal(t, libraryKey(t, via), string(key), via)
		}
	}
}

// libraryKey is the key that sipgo has for a NOTIFY with this Via.
func libraryKey(t *testing.T, via string) string {
	t.Helper()
	msg, err := sip.NewParser().ParseSIP(notifyVia(via))
	require.NoError(t, err)
	msg.SetTransport("UDP")
	key, err := sip.ServerTxKeyMake(msg)
	require.NoError(t, err)
	return key
}

func notifyVia(via string) []byte {
	return fmt.Appendf(nil, "NOTIFY sip:x SIP/2.0\r\nVia: %s\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 NOTIFY\r\n"+
		"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n", via)
}

// What the gate lets through as it is has the key that sipgo has for it, and the response to it has the same.
func FuzzTransactionKey(f *testing.F) {
	f.Add("SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport")
	f.Add("SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1;x=\"y\"")
	f.Add("SIP/2.0/UDP a.b;Branch=z9hG4bK1;branch=z9hG4bK2, SIP/2.0/UDP c")
	f.Fuzz(func(t *testing.T, via string) {
		if strings.ContainsAny(via, "\r\n") {
			return
		}
		raw := notifyVia(via)
		peer := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1000}
		message, _ := testGate().pass(raw, peer, false)
		if message == nil {
			return
		}
		m, isSIP := sniff(raw)
		require.True(t, isSIP)
		key, ok := appendKey(nil, m.via, m.cseqMethod)
		if !ok {
			return
		}
		msg, err := sip.NewParser().ParseSIP(message)
		require.NoError(t, err)
		want, err := sip.ServerTxKeyMake(msg)
		require.NoError(t, err)
		require.Equal(t, want, string(key))
		req := msg.(*sip.Request)
		req.SetTransport("UDP")
		req.SetSource(peer.String())
		res := sip.NewResponseFromRequest(req, 200, "OK", nil)
		answer, isSIP := sniff([]byte(res.String()))
		require.True(t, isSIP)
		if again, ok := appendKey(nil, answer.via, answer.cseqMethod); ok {
			require.Equal(t, want, string(again))
		}
	})
}
