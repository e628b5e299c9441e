package node

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file under testdata/golden, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "../testdata/golden/" + name + ".golden"
	if *update {
		require.NoError(t, os.MkdirAll("../testdata/golden", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

const secretFile = `
applications:
  - id: 7fc9698a-b04a-468b-9e8f-91238c0d0086
    match: [sales, "*@b.example.com"]
    call_initiated_callback_url: https://user:HIDDEN@app.example.com/initiate
    call_status_callback_url: https://HIDDEN@app.example.com/status
    username: app
    password: HIDDEN
    fallback_username: app
    fallback_password: HIDDEN
sip:
  listen: [udp://0.0.0.0, tcp://0.0.0.0]
  advertise: sip.example.com
  allow: [10.0.0.0/8]
  credentials: [{realm: pbx, username: u, password: HIDDEN}]
media:
  rtp_ports: 30000-30099
  tts: {engine: http, url: "https://x:HIDDEN@tts.example.com/say", command: [say, "--to=https://HIDDEN@x/"], voices: [{name: nora, locale: nb_NO, gender: female, voice: nb}]}
api: {username: ops, password: HIDDEN, public_url: "https://a:HIDDEN@x.example.com"}
state: {call_retention: 1h30m}
hep: {address: "homer.example.com:9060", password: HIDDEN}
tracing: {otlp_url: "https://u:HIDDEN@otel.example.com/v1/traces", sample_ratio: 0.125}
`

func TestConfigurationIsPrintedWithEveryKeyAndNoSecret(t *testing.T) {
	for name, content := range map[string]string{"config-defaults": "", "config-full": secretFile} {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := LoadConfig(ConfigSource{File: configFile(t, content)})
			require.NoError(t, err)
			var printed bytes.Buffer
			require.NoError(t, cfg.WriteYAML(&printed))
			assert.NotContains(t, printed.String(), "HIDDEN")
			golden(t, name, printed.String())
		})
	}
}

func TestAPrintedConfigurationLoadsAgain(t *testing.T) {
	cfg, _, err := LoadConfig(ConfigSource{File: configFile(t, secretFile)})
	require.NoError(t, err)
	var printed, again bytes.Buffer
	require.NoError(t, cfg.WriteYAML(&printed))
	reloaded, _, err := LoadConfig(ConfigSource{File: configFile(t, printed.String())})
	require.NoError(t, err)
	require.NoError(t, reloaded.WriteYAML(&again))
	assert.Equal(t, printed.String(), again.String())
}

func TestDurationsAreShort(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "10m": 10 * time.Minute, "24h": 24 * time.Hour, "1h0m5s": time.Hour + 5*time.Second,
		"1h30m": 90 * time.Minute, "100ms": 100 * time.Millisecond, "20m10s": 1210 * time.Second,
	} {
		got := formatDuration(d)
		assert.Equal(t, want, got)
		back, err := time.ParseDuration(got)
		require.NoError(t, err)
		assert.Equal(t, d, back)
	}
}

// FuzzLoadConfig: no panic, and what loads can be printed, loads again, and is the same then.
func FuzzLoadConfig(f *testing.F) {
	f.Add([]byte(secretFile), "sip.allow=10.0.0.0/8", "CALLENGINE_LOG_LEVEL=debug")
	f.Add([]byte("sip: &a {listen: [udp://0.0.0.0], advertise: \"[::1]:5\"}\nlog: *a"), "media.rtp_ports=1-2", "CALLENGINE_SIP_USERS_0=")
	f.Add([]byte("---\n...\n---\n"), "applications[0]=", "CALLENGINE_=")
	f.Add([]byte("api: {username: !!binary aGk=, listen: \":0\"}"), "=", "CALLENGINE_MEDIA_TTS_COMMAND=,")
	f.Fuzz(func(t *testing.T, content []byte, set, env string) {
		cfg, _, err := loadConfig(content, ConfigSource{File: "x", Set: []string{set}, Env: []string{env}})
		if err != nil {
			return
		}
		var printed, again bytes.Buffer
		require.NoError(t, cfg.WriteYAML(&printed))
		reloaded, _, err := loadConfig(printed.Bytes(), ConfigSource{File: "y"})
		require.NoError(t, err, printed.String())
		require.NoError(t, reloaded.WriteYAML(&again))
		require.Equal(t, printed.String(), again.String())
		require.False(t, strings.Contains(printed.String(), "!!binary"))
	})
}
