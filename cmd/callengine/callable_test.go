package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatToCallIsASecureURIWhereTheFirstListenerIsTLS(t *testing.T) {
	for name, tc := range map[string]struct{ network, listens, advertised, want string }{
		"UDP":                   {"udp", "127.0.0.1:5060", "", "sip 127.0.0.1:5060"},
		"TLS":                   {"tls", "127.0.0.1:5061", "", "sips 127.0.0.1:5061"},
		"TLS, host":             {"tls", "127.0.0.1:5061", "sip.example.com", "sips sip.example.com:5061"},
		"TCP, host and port":    {"tcp", "127.0.0.1:5060", "sip.example.com:7", "sip sip.example.com:7;transport=tcp"},
		"UDP, IPv6 in brackets": {"udp", "[::1]:5060", "[2001:db8::1]", "sip [2001:db8::1]:5060"},
	} {
		scheme, at := callable(tc.network, tc.listens, tc.advertised)
		assert.Equal(t, tc.want, scheme+" "+at, name)
	}
}
