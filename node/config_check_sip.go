package node

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

func (c *checker) sip() {
	sip := &c.cfg.SIP
	if len(sip.Listen) == 0 {
		c.fail("sip.listen", "must not be empty")
	}
	for i, l := range sip.Listen {
		if !l.Addr.IsValid() {
			continue // could not be read
		}
		key := fmt.Sprintf("sip.listen[%d]", i)
		if l.Network == "tls" && sip.TLS.CertFile == "" {
			c.failAt(key, "sip.tls.cert_file", "is needed with the listener %s", l)
		}
		if l.Addr.Port() != 0 && slices.Contains(sip.Listen[:i], l) {
			c.fail(key, "%s stands there twice", l)
		}
		if l.Addr.Addr().IsUnspecified() && sip.Advertise == "" {
			c.failAt(key, "sip.advertise", "is needed with the wildcard listener %s", l)
		}
		if !l.Addr.Addr().IsLoopback() && len(sip.Allow) == 0 && len(sip.Users) == 0 {
			c.warn("sip.listen: %s takes calls from everybody who can reach it; sip.allow says who may", l)
		}
	}
	if sip.Advertise != "" && !isHostPort(sip.Advertise) {
		c.fail("sip.advertise", "must be a host or host:port")
	}
	for i, credential := range sip.Credentials {
		if credential.Realm == "" || credential.Username == "" {
			c.fail(fmt.Sprintf("sip.credentials[%d]", i), "needs a realm and a username")
		}
	}
	switch t := sip.TLS; {
	case t.CertFile == "" && t.KeyFile != "":
		c.failAt("sip.tls.key_file", "sip.tls.cert_file", "is needed with sip.tls.key_file")
	case t.CertFile != "" && t.KeyFile == "":
		c.failAt("sip.tls.cert_file", "sip.tls.key_file", "is needed with sip.tls.cert_file")
	}
	if sip.TLS.VerifyClient && sip.TLS.CAFile == "" {
		c.failAt("sip.tls.verify_client", "sip.tls.ca_file", "is needed with sip.tls.verify_client")
	}
	c.number("sip.max_connections", sip.MaxConnections, 0, 1<<20)
	c.users()
	c.number("sip.max_calls", sip.MaxCalls, 0, 1<<20)
	c.number("sip.max_calls_per_second", sip.MaxCallsPerSecond, 0, 100_000)
	c.number("sip.max_unanswered", sip.MaxUnanswered, 0, 1<<20)
	c.number("sip.max_requests_per_source", sip.MaxRequestsPerSource, 0, 100_000)
	c.number("sip.silence_after", sip.SilenceAfter, 0, 100_000)
	c.duration("sip.nonce_lifetime", sip.NonceLifetime, time.Second, 24*time.Hour)
	c.number("sip.reject_code", sip.RejectCode, 400, 699)
	c.duration("sip.transaction_timeout", sip.TransactionTimeout, 100*time.Millisecond, 32*time.Second)
	if sip.Keepalive != 0 {
		c.duration("sip.keepalive", sip.Keepalive, 100*time.Millisecond, 24*time.Hour)
	}
	c.wholeSeconds("sip.min_se", sip.MinSE, 90*time.Second, 24*time.Hour) // RFC 4028 section 5
	if sip.SessionExpires != 0 {
		c.wholeSeconds("sip.session_expires", sip.SessionExpires, max(sip.MinSE, 90*time.Second), 24*time.Hour)
	}
	if pairs := c.cfg.Media.RTPPorts.pairs(); sip.MaxCalls > pairs {
		c.warn("sip.max_calls: %d calls are let in at a time, but media.rtp_ports has room for %d", sip.MaxCalls, pairs)
	}
}

// users refuses what could not be signed with: RFC 7616 section 3.4.2 joins names with colons.
func (c *checker) users() {
	seen := map[string]bool{}
	for i, u := range c.cfg.SIP.Users {
		key := fmt.Sprintf("sip.users[%d]", i)
		switch {
		case u.Username == "" || u.Password == "":
			c.fail(key, "needs a username and a password")
		case strings.ContainsFunc(u.Username, unicode.IsControl) || strings.Contains(u.Username, ":"):
			c.fail(key+".username", "must hold no colon and no control characters")
		case seen[u.Username]:
			c.fail(key+".username", "%s stands there twice", u.Username)
		}
		seen[u.Username] = true
	}
	if strings.ContainsFunc(c.cfg.SIP.Realm, unicode.IsControl) {
		c.fail("sip.realm", "must hold no control characters")
	}
}
