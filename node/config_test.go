package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configFile writes a file and returns its path.
func configFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "callengine.yaml")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

// inSections makes a YAML file of one key.
func inSections(key, value string) string {
	var b strings.Builder
	names := strings.Split(key, ".")
	for i, name := range names {
		b.WriteString(strings.Repeat("  ", i) + name + ":")
		if i < len(names)-1 {
			b.WriteString("\n")
		}
	}
	b.WriteString(" " + value + "\n")
	return b.String()
}

func envName(key string) string {
	return "CALLENGINE_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// valueOf reads a key out of a configuration.
func valueOf(t *testing.T, cfg Config, key string) any {
	t.Helper()
	for _, l := range leavesOf(&cfg) {
		if l.path == key {
			return l.value.Interface()
		}
	}
	t.Fatalf("no key %s", key)
	return nil
}

func prefixes(s ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range s {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// keys has a row for each key that can be set: its default, and another value as YAML and as a text.
var keys = map[string]struct {
	byDefault  any
	yaml, text string
	want       any
}{
	"recordings.dir":              {"./callengine-recordings", "/var/lib/recordings", "/var/lib/recordings", "/var/lib/recordings"},
	"recordings.retention":        {720 * time.Hour, "24h", "24h", 24 * time.Hour},
	"media.stt.engine":            {"pocketsphinx", "none", "none", "none"},
	"media.stt.url":               {"", "wss://stt.example.com/", "wss://stt.example.com/", "wss://stt.example.com/"},
	"media.stt.processes":         {0, "3", "3", 3},
	"transcriptions.dir":          {"./callengine-transcriptions", "/var/lib/texts", "/var/lib/texts", "/var/lib/texts"},
	"transcriptions.retention":    {720 * time.Hour, "24h", "24h", 24 * time.Hour},
	"account_id":                  {"5555555", `"5500001"`, "5500001", "5500001"},
	"drain_timeout":               {30 * time.Second, "0s", "0s", time.Duration(0)},
	"sip.listen":                  {DefaultConfig().SIP.Listen, "[udp://127.0.0.2, 'tcp://[::1]:0']", "udp://127.0.0.2,tcp://[::1]:0", []Listener{{"udp", netip.MustParseAddrPort("127.0.0.2:5060")}, {"tcp", netip.MustParseAddrPort("[::1]:0")}}},
	"sip.advertise":               {"", "sip.example.com:5062", "sip.example.com:5062", "sip.example.com:5062"},
	"sip.allow":                   {[]netip.Prefix(nil), `[10.1.2.3/8, 192.0.2.1, "::ffff:10.0.0.0/104"]`, "10.0.0.0/8, 192.0.2.1, 10.0.0.0/8", prefixes("10.0.0.0/8", "192.0.2.1/32", "10.0.0.0/8")},
	"sip.pstn_trunks":             {[]netip.Prefix(nil), `["2001:db8::/32"]`, "2001:db8::/32", prefixes("2001:db8::/32")},
	"sip.tls.ca_file":             {"", "ca.pem", "ca.pem", "ca.pem"},
	"sip.max_connections":         {10000, "5", "5", 5},
	"sip.max_calls":               {0, "100", "100", 100},
	"sip.max_calls_per_second":    {0, "50", "50", 50},
	"sip.max_unanswered":          {0, "100", "100", 100},
	"sip.max_requests_per_source": {0, "10", "10", 10},
	"sip.silence_after":           {20, "0", "0", 0},
	"sip.overload_control":        {true, "false", "false", false},
	"sip.realm":                   {"", "example.com", "example.com", "example.com"},
	"sip.nonce_lifetime":          {5 * time.Minute, "1m", "1m", time.Minute},
	"webhook.max_latency":         {10 * time.Second, "0", "0", time.Duration(0)},
	"sip.reject_code":             {603, "486", "486", 486},
	"sip.transaction_timeout":     {32 * time.Second, "2s", "2s", 2 * time.Second},
	"sip.session_expires":         {30 * time.Minute, "0", "0", time.Duration(0)},
	"sip.min_se":                  {90 * time.Second, "2m", "2m", 2 * time.Minute},
	"sip.keepalive":               {time.Minute, "0", "0", time.Duration(0)},
	"refer.notify_timeout":        {30 * time.Second, "100ms", "100ms", 100 * time.Millisecond},
	"refer.allow_targets":         {[]string(nil), "['*.example.com', pbx]", "*.example.com,pbx", []string{"*.example.com", "pbx"}},
	"media.address":               {"", "media.example.com", "media.example.com", "media.example.com"},
	"media.latching":              {"strict", "'off'", "off", "off"},
	"media.latching_time":         {5 * time.Second, "1m", "1m", time.Minute},
	"media.rtp_ports":             {PortRange{20000, 29999}, "40000-40001", "40000-40001", PortRange{40000, 40001}},
	"media.codecs":                {[]string{"PCMU", "PCMA"}, "[PCMA]", "PCMA", []string{"PCMA"}},
	"media.srtp":                  {"off", "required", "required", "required"},
	"media.tts.engine":            {"espeak-ng", "none", "none", "none"},
	"media.tts.command":           {[]string(nil), "[say, -v]", "say,-v", []string{"say", "-v"}},
	"media.tts.url":               {"", "http://tts.example.com/", "http://tts.example.com/", "http://tts.example.com/"},
	"webhook.allow_hosts":         {[]string(nil), "['*.example.com']", "*.example.com", []string{"*.example.com"}},
	"webhook.deny_cidrs":          {prefixes("169.254.0.0/16", "fe80::/10"), "[]", "", []netip.Prefix{}},
	"webhook.tls_ca_file":         {"", "ca.pem", "ca.pem", "ca.pem"},
	"api.listen":                  {"127.0.0.1:8088", "localhost:9000", "localhost:9000", "localhost:9000"},
	"api.public_url":              {"http://127.0.0.1:8088", "https://x.example/base", "https://x.example/base", "https://x.example/base"},
	"api.username":                {"", "42", "42", "42"},
	"cdr.dir":                     {"", "/var/log/cdr", "/var/log/cdr", "/var/log/cdr"},
	"cdr.max_mb":                  {100, "1", "1", 1},
	"cdr.retention":               {time.Duration(0), "720h", "720h", 720 * time.Hour},
	"state.dir":                   {"./callengine-data", "''", "", ""},
	"state.nats_url":              {"", "'nats://a.example.com,tls://b.example.com:4222'", "nats://a.example.com,tls://b.example.com:4222", "nats://a.example.com,tls://b.example.com:4222"},
	"state.node":                  {"", "node-1", "node-1", "node-1"},
	"state.lease":                 {10 * time.Second, "5s", "5s", 5 * time.Second},
	"state.fsync":                 {"interval", "always", "always", "always"},
	"state.max_mb":                {4096, "64", "64", 64},
	"state.call_retention":        {24 * time.Hour, "1h30m", "1h30m", 90 * time.Minute},
	"state.outbox_max_age":        {24 * time.Hour, "1s", "1s", time.Second},
	"log.level":                   {"info", "debug", "debug", "debug"},
	"log.format":                  {"console", "json", "json", "json"},
	"hep.address":                 {"", "homer.example.com:9060", "homer.example.com:9060", "homer.example.com:9060"},
	"hep.transport":               {"udp", "tcp", "tcp", "tcp"},
	"hep.capture_id":              {2001, "0", "0", 0},
	"hep.password":                {"", "x", "x", "x"},
	"tracing.otlp_url":            {"", "http://otel.example.com:4318/v1/traces", "http://otel.example.com:4318/v1/traces", "http://otel.example.com:4318/v1/traces"},
	"tracing.sample_ratio":        {1.0, "0.25", "0.25", 0.25},
}

// notSetAlone are the keys that the rows above leave out: those that only a file can set, or that need another key; each
// has a test of its own.
var notSetAlone = []string{
	"applications", "sip.credentials", "sip.users", "media.tts.voices", "api.password",
	"sip.tls.cert_file", "sip.tls.key_file", "sip.tls.verify_client",
	"recordings.s3.endpoint", "recordings.s3.bucket", "recordings.s3.region", "recordings.s3.access_key", "recordings.s3.secret_key", "recordings.s3.prefix",
}

func TestEveryKeyHasATest(t *testing.T) {
	cfg := DefaultConfig()
	for _, l := range leavesOf(&cfg) {
		_, alone := keys[l.path]
		assert.True(t, alone != slices.Contains(notSetAlone, l.path), l.path)
	}
	assert.Len(t, leavesOf(&cfg), len(keys)+len(notSetAlone))
}

func TestEveryKeyHasItsDefault(t *testing.T) {
	cfg, warnings, err := LoadConfig(ConfigSource{})
	require.NoError(t, err)
	assert.Empty(t, warnings)
	assert.Equal(t, DefaultConfig(), cfg)
	for key, k := range keys {
		assert.Equal(t, k.byDefault, valueOf(t, cfg, key), key)
	}
}

func TestEveryKeyCanBeSetByEachSource(t *testing.T) {
	for key, k := range keys {
		t.Run(key, func(t *testing.T) {
			for source, src := range map[string]ConfigSource{
				"file": {File: configFile(t, inSections(key, k.yaml))},
				"env":  {Env: []string{"PATH=/bin", envName(key) + "=" + k.text}},
				"flag": {Set: []string{key + "=" + k.text}},
			} {
				cfg, _, err := LoadConfig(src)
				require.NoError(t, err, source)
				assert.Equal(t, k.want, valueOf(t, cfg, key), source)
			}
		})
	}
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	src := ConfigSource{
		File: configFile(t, "log: {level: debug, format: json}\nsip: {reject_code: 480, max_calls: 1}\n"),
		Env:  []string{"CALLENGINE_LOG_LEVEL=warn", "CALLENGINE_SIP_REJECT_CODE=486"},
		Set:  []string{"log.level=info", "log.level=error"},
	}
	cfg, _, err := LoadConfig(src)
	require.NoError(t, err)
	assert.Equal(t, LogConfig{Level: "error", Format: "json"}, cfg.Log, "the last flag of a key counts")
	assert.Equal(t, 486, cfg.SIP.RejectCode)
	assert.Equal(t, 1, cfg.SIP.MaxCalls)
}

func TestAListOfALaterSourceReplacesTheWholeList(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{
		File: configFile(t, "sip: {allow: [10.0.0.0/8, 192.0.2.0/24]}"),
		Env:  []string{"CALLENGINE_SIP_ALLOW=127.0.0.1"},
	})
	require.NoError(t, err)
	assert.Equal(t, prefixes("127.0.0.1/32"), cfg.SIP.Allow)
}

func TestAnApplicationIsCompletedByDefaults(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{File: configFile(t, `
applications:
  - call_initiated_callback_url: https://app.example.com/initiate
  - id: 7fc9698a
    match: [sales, "*@b.example.com"]
    call_initiated_callback_url: http://app.example.com/initiate
    call_initiated_method: get
    call_initiated_fallback_url: http://backup.example.com/initiate
    call_initiated_fallback_method: GET
    call_status_callback_url: http://app.example.com/status
    call_status_method: GET
    callback_timeout: 1500ms
    username: u
    password: p
    fallback_username: fu
    fallback_password: fp
    tag: vip
`)})
	require.NoError(t, err)
	assert.Equal(t, []Application{
		{
			ID: "application-1", Match: []string{"*"}, CallInitiatedCallbackURL: "https://app.example.com/initiate",
			CallInitiatedMethod: "POST", CallInitiatedFallbackMethod: "POST", CallStatusMethod: "POST", CallbackTimeout: 15 * time.Second,
		},
		{
			ID: "7fc9698a", Match: []string{"sales", "*@b.example.com"},
			CallInitiatedCallbackURL: "http://app.example.com/initiate", CallInitiatedMethod: "GET",
			CallInitiatedFallbackURL: "http://backup.example.com/initiate", CallInitiatedFallbackMethod: "GET",
			CallStatusCallbackURL: "http://app.example.com/status", CallStatusMethod: "GET", CallbackTimeout: 1500 * time.Millisecond,
			Username: "u", Password: "p", FallbackUsername: "fu", FallbackPassword: "fp", Tag: "vip",
		},
	}, cfg.Applications)
}

func TestListsOfObjectsComeFromTheFile(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{File: configFile(t, `
sip:
  credentials: [{realm: pbx, username: u, password: "123"}]
media:
  tts:
    voices: [{name: nora, locale: nb_NO, gender: female, voice: nb+f3}]
api: {username: ops, password: secret}
`)})
	require.NoError(t, err)
	assert.Equal(t, []SIPCredential{{"pbx", "u", "123"}}, cfg.SIP.Credentials)
	assert.Equal(t, []Voice{{"nora", "nb_NO", "female", "nb+f3"}}, cfg.Media.TTS.Voices)
	assert.Equal(t, "secret", cfg.API.Password)
}

func TestAppGetsEveryCallAndItsStatusEvents(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{
		File: configFile(t, "applications: [{call_initiated_callback_url: http://other.example/}]"),
		App:  "http://127.0.0.1:3000/bxml",
	})
	require.NoError(t, err)
	require.Len(t, cfg.Applications, 1)
	app := cfg.Applications[0]
	assert.Equal(t, []string{"*"}, app.Match)
	assert.Equal(t, "http://127.0.0.1:3000/bxml", app.CallInitiatedCallbackURL)
	assert.Equal(t, "http://127.0.0.1:3000/bxml", app.CallStatusCallbackURL)
}

func TestPublicURLFollowsTheListener(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:9000":   "http://127.0.0.1:9000",
		"0.0.0.0:80":       "http://127.0.0.1:80",
		":8088":            "http://127.0.0.1:8088",
		"[::]:8088":        "http://127.0.0.1:8088",
		"[2001:db8::1]:80": "http://[2001:db8::1]:80",
		"api.internal:80":  "http://api.internal:80",
		"127.0.0.1:0":      "", // known when it listens
	} {
		cfg, _, err := LoadConfig(ConfigSource{Set: []string{"api.listen=" + listen, "api.username=u", "api.password=p"}})
		require.NoError(t, err, listen)
		assert.Equal(t, want, cfg.API.PublicURL, listen)
	}
}

func TestAnAliasStandsForWhatItNames(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{File: configFile(t, `
sip:
  allow: &inside [10.0.0.0/8]
  pstn_trunks: *inside
`)})
	require.NoError(t, err)
	assert.Equal(t, cfg.SIP.Allow, cfg.SIP.PSTNTrunks)
}

func TestAFileMayBeEmpty(t *testing.T) {
	for name, content := range map[string]string{
		"nothing": "", "comments": "# nothing yet\n", "a section without keys": "sip:\n  # listen: []\n", "a document mark": "---\n",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, warnings, err := LoadConfig(ConfigSource{File: configFile(t, content)})
			require.NoError(t, err)
			assert.Equal(t, DefaultConfig(), cfg)
			assert.Equal(t, []string{"applications: there is none, so that every call gets 404"}, warnings)
		})
	}
}

func TestTLSIsConfiguredAsAWhole(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{File: configFile(t,
		"sip: {listen: ['tls://127.0.0.1'], tls: {cert_file: a.pem, key_file: a.key, ca_file: ca.pem, verify_client: true}}")})
	require.NoError(t, err)
	assert.Equal(t, []Listener{{"tls", netip.MustParseAddrPort("127.0.0.1:5061")}}, cfg.SIP.Listen)
	assert.Equal(t, SIPTLSConfig{"a.pem", "a.key", "ca.pem", true}, cfg.SIP.TLS)
}

func TestTheStoreOfRecordingsIsSetAsAWhole(t *testing.T) {
	want := S3Config{Endpoint: "https://s3.example.com", Bucket: "calls", Region: "eu-1", AccessKey: "AK", SecretKey: "SK", Prefix: "rec/"}
	cfg, _, err := LoadConfig(ConfigSource{
		File: configFile(t, "recordings: {s3: {endpoint: 'https://s3.example.com', bucket: calls, access_key: AK, prefix: rec/}}"),
		Env:  []string{"CALLENGINE_RECORDINGS_S3_SECRET_KEY=SK"}, Set: []string{"recordings.s3.region=eu-1"},
	})
	require.NoError(t, err)
	assert.Equal(t, want, cfg.Recordings.S3)
	store, err := cfg.recordingStore(nil)
	require.NoError(t, err)
	store.Close()
}
