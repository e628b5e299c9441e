package node

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
)

// checker holds a configuration against its rules. Zero values that a user cannot have meant are errors, so that the
// rooms may take them for "not set".
type checker struct {
	cfg      *Config
	origin   origins
	file     bool           // there is one: without it the applications are told elsewhere
	errs     []*ConfigError // those of reading come first
	warnings []string
}

// fail tells of a key. One that could not even be read has had its error already, and what is wrong once is told once.
func (c *checker) fail(key, format string, args ...any) { c.failAt(key, key, format, args...) }

// failAt is fail for a key that is wrong because of what another one says.
func (c *checker) failAt(where, key, format string, args ...any) {
	if slices.ContainsFunc(c.errs, func(e *ConfigError) bool { return e.Key == key }) {
		return
	}
	at := c.origin.of(where)
	c.errs = append(c.errs, &ConfigError{
		Key: key, File: at.file, Line: at.line, From: at.from, Reason: fmt.Sprintf(format, args...),
	})
}

func (c *checker) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *checker) check() {
	c.accountID()
	if c.cfg.DrainTimeout < 0 {
		c.fail("drain_timeout", "must not be negative")
	}
	for i := range c.cfg.Applications {
		c.application(fmt.Sprintf("applications[%d]", i), &c.cfg.Applications[i])
	}
	if len(c.cfg.Applications) == 0 && c.file {
		c.warn("applications: there is none, so that every call gets 404")
	}
	c.sip()
	c.duration("refer.notify_timeout", c.cfg.Refer.NotifyTimeout, 100*time.Millisecond, 10*time.Minute)
	c.hostGlobs("refer.allow_targets", c.cfg.Refer.AllowTargets)
	c.media()
	c.hostGlobs("webhook.allow_hosts", c.cfg.Webhook.AllowHosts)
	if c.cfg.Webhook.MaxLatency != 0 {
		c.duration("webhook.max_latency", c.cfg.Webhook.MaxLatency, 10*time.Millisecond, time.Minute)
	}
	c.api()
	c.recordings()
	c.state()
	c.oneOf("log.level", c.cfg.Log.Level, "debug", "info", "warn", "error")
	c.oneOf("log.format", c.cfg.Log.Format, "console", "json")
	c.cdr()
	c.hep()
	c.tracing()
}

// accountPattern keeps the account id readable in paths (RFC 3986 section 2.3, unreserved characters).
var accountPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

func (c *checker) accountID() {
	if id := c.cfg.AccountID; !accountPattern.MatchString(id) || id == "." || id == ".." {
		c.fail("account_id", "must be letters, digits and - . _ ~")
	}
}

// maxTag is the longest tag of a call, in characters (docs/bxml.md).
const maxTag = 256

func (c *checker) application(key string, a *Application) {
	if a.ID == "" {
		c.fail(key+".id", "must not be empty")
	}
	if len(a.Match) == 0 {
		c.fail(key+".match", "must not be empty: no call would match")
	}
	c.globs(key+".match", a.Match)
	if a.CallInitiatedCallbackURL == "" {
		c.fail(key+".call_initiated_callback_url", "is missing")
	}
	for _, u := range []struct{ name, value string }{
		{"call_initiated_callback_url", a.CallInitiatedCallbackURL},
		{"call_initiated_fallback_url", a.CallInitiatedFallbackURL},
		{"call_status_callback_url", a.CallStatusCallbackURL},
	} {
		if u.value != "" && !isWebURL(u.value) {
			c.fail(key+"."+u.name, notWebURL)
		}
	}
	for _, m := range []struct {
		name  string
		value *string
	}{
		{"call_initiated_method", &a.CallInitiatedMethod},
		{"call_initiated_fallback_method", &a.CallInitiatedFallbackMethod},
		{"call_status_method", &a.CallStatusMethod},
	} {
		*m.value = strings.ToUpper(*m.value)
		c.oneOf(key+"."+m.name, *m.value, "POST", "GET")
	}
	c.duration(key+".callback_timeout", a.CallbackTimeout, time.Second, 25*time.Second)
	if utf8.RuneCountInString(a.Tag) > maxTag {
		c.fail(key+".tag", "must have at most %d characters", maxTag)
	}
}

func (c *checker) media() {
	m := &c.cfg.Media
	if m.Address != "" && !isHost(m.Address) {
		c.fail("media.address", "must be an IP address or a host name")
	}
	c.oneOf("media.latching", m.Latching, string(media.LatchStrict), string(media.LatchAny), string(media.LatchOff))
	c.duration("media.latching_time", m.LatchingTime, 100*time.Millisecond, time.Hour)
	switch r := m.RTPPorts; {
	case r.Min < 1 || r.Max > 65535 || r.Min > r.Max:
		c.fail("media.rtp_ports", "%s is no range of UDP ports", r)
	case r.pairs() == 0:
		c.fail("media.rtp_ports", "%s has no room for an even port and the next one, which each call needs", r)
	}
	if len(m.Codecs) == 0 {
		c.fail("media.codecs", "must not be empty")
	}
	for i, codec := range m.Codecs {
		key := fmt.Sprintf("media.codecs[%d]", i)
		c.oneOf(key, codec, "PCMU", "PCMA", "G722", "opus")
		if slices.Contains(m.Codecs[:i], codec) {
			c.fail(key, "%s stands there twice", codec)
		}
	}
	c.oneOf("media.srtp", m.SRTP, string(sipstack.SRTPOff), string(sipstack.SRTPOptional), string(sipstack.SRTPRequired))
	if m.SRTP != string(sipstack.SRTPOff) {
		for _, l := range c.cfg.SIP.Listen {
			if l.Network != "tls" && !l.Addr.Addr().IsLoopback() {
				c.warn("media.srtp: the keys of calls that come over %s can be read on their way, unless DTLS agrees on them; a tls:// listener protects them", l)
			}
		}
	}
	c.speech()
	c.transcription()
}

func (c *checker) speech() {
	t := &c.cfg.Media.TTS
	c.oneOf("media.tts.engine", t.Engine, EngineESpeak, EngineCommand, EngineHTTP, EngineNone)
	switch {
	case t.Engine == EngineCommand && (len(t.Command) == 0 || t.Command[0] == ""):
		c.fail("media.tts.command", "is needed with media.tts.engine: command")
	case t.Engine == EngineHTTP && t.URL == "":
		c.fail("media.tts.url", "is needed with media.tts.engine: http")
	}
	if t.URL != "" && !isWebURL(t.URL) {
		c.fail("media.tts.url", notWebURL)
	}
	for i, v := range t.Voices {
		key := fmt.Sprintf("media.tts.voices[%d]", i)
		if v.Name == "" || v.Locale == "" {
			c.fail(key, "needs a name and a locale")
		}
		c.oneOf(key+".gender", v.Gender, "female", "male")
	}
}

func (c *checker) transcription() {
	s := &c.cfg.Media.STT
	c.oneOf("media.stt.engine", s.Engine, EnginePocketsphinx, EngineWebSocket, EngineNone)
	u, err := url.Parse(s.URL)
	switch {
	case s.Engine == EngineWebSocket && s.URL == "":
		c.fail("media.stt.url", "is needed with media.stt.engine: websocket")
	case s.URL != "" && (err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == ""):
		c.fail("media.stt.url", "must be an absolute ws:// or wss:// URL")
	}
	if s.Processes < 0 || s.Processes > 1024 {
		c.fail("media.stt.processes", "must be from 0 to 1024")
	}
	t := &c.cfg.Transcriptions
	if t.Dir == "" {
		c.fail("transcriptions.dir", "must not be empty")
	}
	c.duration("transcriptions.retention", t.Retention, time.Minute, 100*365*24*time.Hour)
}

func (c *checker) api() {
	a := &c.cfg.API
	host, port, err := net.SplitHostPort(a.Listen)
	if err == nil {
		_, err = parsePort(port, 0)
	}
	switch {
	case err != nil || host != "" && !isHost(host):
		c.fail("api.listen", "must be HOST:PORT")
	case !isLoopback(host) && a.Username == "":
		c.warn("api.listen: %s tells everybody who can reach it of all calls; set api.username and api.password", a.Listen)
	}
	if u, err := url.Parse(a.PublicURL); a.PublicURL != "" && (!isWebURL(a.PublicURL) || err != nil || u.RawQuery != "" || u.Fragment != "") {
		c.fail("api.public_url", "must be an absolute http:// or https:// URL without a query")
	}
	switch {
	case a.Username == "" && a.Password != "":
		c.fail("api.username", "is missing, so that api.password would protect nothing")
	case strings.Contains(a.Username, ":"):
		c.fail("api.username", "must not hold a colon") // RFC 7617 section 2
	case a.Username != "" && a.Password == "":
		c.warn("api.password: is empty")
	}
}

func (c *checker) state() {
	s := &c.cfg.State
	c.oneOf("state.fsync", s.Fsync, "interval", fsyncAlways)
	for url := range strings.SplitSeq(s.NATSURL, ",") {
		if s.NATSURL != "" && !isNATSURL(url) {
			c.fail("state.nats_url", "must be a nats:// or tls:// URL, or several with commas between")
		}
	}
	if s.Node != "" && !nodeNamePattern.MatchString(s.Node) {
		c.fail("state.node", "must be letters, digits and -")
	}
	c.duration("state.lease", s.Lease, time.Second, 5*time.Minute)
	c.number("state.max_mb", s.MaxMB, 64, math.MaxInt32)
	c.duration("state.call_retention", s.CallRetention, time.Second, 100*365*24*time.Hour)
	c.duration("state.outbox_max_age", s.OutboxMaxAge, time.Second, 100*365*24*time.Hour)
}

func (c *checker) recordings() {
	r := &c.cfg.Recordings
	if r.Dir == "" {
		c.fail("recordings.dir", "must not be empty")
	}
	c.duration("recordings.retention", r.Retention, time.Minute, 100*365*24*time.Hour)
	s := &r.S3
	if s.Endpoint == "" {
		if *s != (S3Config{}) {
			c.fail("recordings.s3.endpoint", "is missing, so that the rest of recordings.s3 would have no effect")
		}
		return
	}
	if u, err := url.Parse(s.Endpoint); err != nil || !isWebURL(s.Endpoint) || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		c.fail("recordings.s3.endpoint", "must be http:// or https:// and a host")
	}
	switch {
	case s.Bucket == "":
		c.fail("recordings.s3.bucket", "is missing")
	case !bucketPattern.MatchString(s.Bucket):
		c.fail("recordings.s3.bucket", "must be 3 to 63 letters, digits, dots, _ and -")
	}
	if s.AccessKey == "" || s.SecretKey == "" {
		c.fail("recordings.s3.access_key", "and recordings.s3.secret_key must both be set")
	}
}

func (c *checker) cdr() {
	d := &c.cfg.CDR
	c.number("cdr.max_mb", d.MaxMB, 1, math.MaxInt32)
	if d.Retention != 0 {
		c.duration("cdr.retention", d.Retention, time.Hour, 100*365*24*time.Hour)
	}
}

func (c *checker) hep() {
	h := &c.cfg.HEP
	host, port, err := net.SplitHostPort(h.Address)
	if err == nil {
		_, err = parsePort(port, 1)
	}
	if h.Address != "" && (err != nil || !isHost(host)) {
		c.fail("hep.address", "must be HOST:PORT")
	}
	c.oneOf("hep.transport", h.Transport, "udp", "tcp")
	c.number("hep.capture_id", h.CaptureID, 0, math.MaxUint32)
	if len(h.Password) > 255 {
		c.fail("hep.password", "must have at most 255 bytes")
	}
}

func (c *checker) tracing() {
	t := &c.cfg.Tracing
	if t.OTLPURL != "" && !isWebURL(t.OTLPURL) {
		c.fail("tracing.otlp_url", notWebURL)
	}
	if t.SampleRatio < 0 || t.SampleRatio > 1 {
		c.fail("tracing.sample_ratio", "must be from 0 to 1")
	}
}

func (c *checker) duration(key string, d, least, most time.Duration) {
	if d < least || d > most {
		c.fail(key, "must be from %s to %s", formatDuration(least), formatDuration(most))
	}
}

// wholeSeconds is duration for what SIP counts in seconds.
func (c *checker) wholeSeconds(key string, d, least, most time.Duration) {
	if d%time.Second != 0 {
		c.fail(key, "must be whole seconds")
	}
	c.duration(key, d, least, most)
}

func (c *checker) number(key string, n, least, most int) {
	if n < least || n > most {
		c.fail(key, "must be from %d to %d", least, most)
	}
}

func (c *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fail(key, "must be %s%s", alternatives(allowed), didYouMean(value, allowed))
	}
}

// alternatives joins names: "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func (c *checker) globs(key string, globs []string) {
	for i, g := range globs {
		if _, err := path.Match(g, ""); err != nil || g == "" {
			c.fail(fmt.Sprintf("%s[%d]", key, i), "%q is no glob", g)
		}
	}
}

// hostGlobs refuses what no host can match: a URL, an address with a user.
func (c *checker) hostGlobs(key string, globs []string) {
	c.globs(key, globs)
	for i, g := range globs {
		if strings.ContainsAny(g, "/@ ") {
			c.fail(fmt.Sprintf("%s[%d]", key, i), "%q is no glob over a host", g)
		}
	}
}

const notWebURL = "must be an absolute http:// or https:// URL"

// isWebURL reports whether s is an absolute URL of HTTP. What is wrong with it is not told: it may hold a password.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// hostName matches DNS names and IPv4 addresses (RFC 1123 section 2.1, and the underscore that many use).
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$`)

// bucketPattern matches the names that stores take, the older ones of Amazon's included.
var bucketPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

var nodeNamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

func isNATSURL(s string) bool {
	u, err := url.Parse(strings.TrimSpace(s))
	return err == nil && (u.Scheme == "nats" || u.Scheme == "tls") && u.Hostname() != ""
}

func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || len(s) <= 253 && hostName.MatchString(s)
}

func isHostPort(s string) bool {
	host, port, err := splitHostPort(s)
	if err == nil && port != "" {
		_, err = parsePort(port, 1)
	}
	return err == nil && isHost(host)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
