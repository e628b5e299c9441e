package sipstack

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/callengine/callengine/media"
	"github.com/pion/sdp/v3"
	"go.uber.org/zap"
)

// SRTP says whether sound is protected.
type SRTP string

// The values of [SRTP].
const (
	SRTPOff      SRTP = "off"      // never: an offer of it alone gets 488
	SRTPOptional SRTP = "optional" // where the peer wants it (RFC 8643)
	SRTPRequired SRTP = "required" // an offer without it gets 488
)

// on reports whether sound may be protected.
func (s SRTP) on() bool { return s == SRTPOptional || s == SRTPRequired }

// localKeys are what one session may protect its sound with: a key of each crypto-suite, and a certificate. A suite's place is its
// tag in our offers, from 1 on.
type localKeys struct {
	srtp        SRTP
	sends       []media.Key
	fingerprint string // of DTLS; empty: there is no certificate
}

// newKeys makes those of a session.
func (s *Stack) newKeys() localKeys {
	k := localKeys{srtp: s.cfg.SRTP}
	if !k.srtp.on() {
		return k
	}
	for _, suite := range media.Suites() {
		secret := make([]byte, suite.KeyLength())
		_, _ = rand.Read(secret) // it never fails (crypto/rand)
		key, _ := media.NewKey(suite, secret)
		k.sends = append(k.sends, key)
	}
	var err error
	if k.fingerprint, err = s.media.Fingerprint(); err != nil {
		s.log.Error("DTLS-SRTP is not there", zap.Error(err))
	}
	return k
}

// key returns our key of a suite.
func (k localKeys) key(s media.Suite) media.Key {
	for _, key := range k.sends {
		if key.Suite == s {
			return key
		}
	}
	return media.Key{}
}

// crypto is what an a=crypto line says (RFC 4568 section 9.1).
type crypto struct {
	tag string
	key media.Key // the peer's, for what it sends
}

// readCrypto reads what follows "a=crypto:"; false: it is nothing that we can do. RFC 4568 section 6.3.7: a line with session
// parameters that are not known is left out, unless they may be ignored; so is one with several keys, or with their
// identifiers in packets.
func readCrypto(value string) (crypto, bool) {
	fields := strings.Fields(value)
	if len(fields) < 3 {
		return crypto{}, false
	}
	if n, err := strconv.ParseUint(fields[0], 10, 32); err != nil || n > 999999999 {
		return crypto{}, false
	}
	for _, parameter := range fields[3:] {
		if !strings.HasPrefix(parameter, "-") && !strings.HasPrefix(strings.ToUpper(parameter), "WSH=") {
			return crypto{}, false
		}
	}
	method, info, _ := strings.Cut(fields[2], ":")
	inline, rest, _ := strings.Cut(info, "|")
	if !strings.EqualFold(method, "inline") || strings.ContainsAny(rest, ":;") {
		return crypto{}, false
	}
	secret, err := base64.StdEncoding.DecodeString(inline)
	if err != nil {
		if secret, err = base64.RawStdEncoding.DecodeString(inline); err != nil {
			return crypto{}, false
		}
	}
	for _, suite := range media.Suites() {
		if suite.String() == strings.ToUpper(fields[1]) {
			key, ok := media.NewKey(suite, secret)
			return crypto{fields[0], key}, ok
		}
	}
	return crypto{}, false
}

// secure returns how the peer's stream is protected, and under which tag; false: it can't be used.
func (m *remoteMedia) secure(keys localKeys) (x media.Secure, tag string, ok bool) {
	proto := strings.ToUpper(m.proto)
	handshake := strings.HasPrefix(proto, "UDP/TLS/")
	switch strings.TrimSuffix(strings.TrimPrefix(proto, "UDP/TLS/"), "F") {
	case "RTP/AVP":
		if handshake {
			return x, "", false
		}
	case "RTP/SAVP":
	default:
		return x, "", false
	}
	if keys.srtp.on() && !handshake {
		for _, line := range m.crypto { // RFC 4568 section 5.1.2: the first that we can do
			if c, ok := readCrypto(line); ok {
				return media.Secure{Send: keys.key(c.key.Suite), Receive: c.key}, c.tag, true
			}
		}
	}
	// A fingerprint may stand without its transport, too: so did the browsers of old, and so does RFC 8643.
	if keys.srtp.on() && m.fingerprint != "" && keys.fingerprint != "" {
		// RFC 5763 section 5: who answers should begin.
		return media.Secure{DTLS: media.DTLS{Fingerprint: m.fingerprint, Client: !strings.EqualFold(m.setup, "active")}}, "", true
	}
	return x, "", proto == "RTP/AVP" && keys.srtp != SRTPRequired || proto == "RTP/AVPF" && keys.srtp != SRTPRequired
}

// withSecurity adds to an answer how its stream is protected.
func (k localKeys) withSecurity(d *sdp.MediaDescription, x media.Secure, tag string) *sdp.MediaDescription {
	if !x.On() {
		return d
	}
	if x.DTLS != (media.DTLS{}) {
		setup := "passive"
		if x.DTLS.Client {
			setup = "active"
		}
		return d.WithValueAttribute("setup", setup).WithValueAttribute("fingerprint", k.fingerprint)
	}
	return d.WithValueAttribute("crypto", cryptoLine(tag, x.Send))
}

// withOffer adds to an offer how its stream may be protected. It is by keys in the description, which every phone can do that can
// do any.
func (k localKeys) withOffer(d *sdp.MediaDescription) *sdp.MediaDescription {
	for i, key := range k.sends {
		d = d.WithValueAttribute("crypto", cryptoLine(strconv.Itoa(i+1), key))
	}
	return d
}

// proto is the transport of our offers. RFC 8643: where protection may be refused, it is offered under the name of what has none.
func (k localKeys) proto() string {
	if k.srtp == SRTPRequired {
		return "RTP/SAVP"
	}
	return "RTP/AVP"
}

func cryptoLine(tag string, key media.Key) string {
	return tag + " " + key.Suite.String() + " inline:" + base64.StdEncoding.EncodeToString(key.Secret())
}
