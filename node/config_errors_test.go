package node

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const oneApp = "applications:\n- call_initiated_callback_url: http://app.example/\n  "

func TestAFileIsRefusedWithKeyAndLine(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"unknown key":                   {"sip:\n  lisen: []", "2: sip.lisen: unknown key; did you mean listen"},
		"unknown key at the top":        {"# x\n\nport: 1", "3: port: unknown key"},
		"unknown key of an application": {oneApp + "url: x", "3: applications[0].url: unknown key"},
		"merge key":                     {"log: &a {}\napi: {<<: *a}", "2: api.<<: unknown key"},
		"key that is no text":           {"[a]: 1", "1: a key must be a text, not a list"},
		"key twice":                     {"log:\n  level: info\n  level: debug", "3: log.level: stands there twice"},
		"not YAML":                      {"sip:\n  listen: [\n", "2: is not YAML: did not find expected node content"},
		"tab":                           {"sip:\n\tlisten: []", "2: is not YAML: found character that cannot start any token; lines are indented by spaces, not tabs"},
		"two documents":                 {"log: {}\n---\nlog: {}", "2: a second document; there may be only one"},
		"no section":                    {"5", "1: must hold keys, not a number"},
		"text for a section":            {"log: debug", "1: log: must hold keys, not a text"},
		"list for a section":            {"log: [debug]", "1: log: must hold keys, not a list"},
		"text for a list":               {"sip: {allow: 10.0.0.0/8}", "1: sip.allow: must be a list, not a text"},
		"nothing for a list":            {"sip:\n  allow:", "2: sip.allow: must be a list, not nothing"},
		"nothing for a text":            {"api:\n  password:", "2: api.password: must be a text, not nothing"},
		"section for a text":            {"api:\n  password: {a: b}", "2: api.password: must be a text, not a section with keys"},
		"true for a text":               {"account_id: true", "1: account_id: must be a text, not true or false"},
		"text for a number":             {`sip: {max_calls: "5"}`, "1: sip.max_calls: must be a whole number, not a text"},
		"fraction for a number":         {`sip: {max_calls: 1.5}`, "1: sip.max_calls: must be a whole number, not a number"},
		"text for a truth value":        {`sip: {tls: {verify_client: "yes"}}`, "1: sip.tls.verify_client: must be true or false, not a text"},
		"number for a duration":         {"drain_timeout: 30", "1: drain_timeout: must be a duration such as 15s, 500ms or 24h"},
		"duration that is negative":     {"drain_timeout: -1s", "1: drain_timeout: must not be negative"},
		"account id in a path":          {"account_id: a/b", "1: account_id: must be letters, digits and - . _ ~"},
		"account id that is empty":      {`account_id: ""`, "1: account_id: must be letters, digits and - . _ ~"},

		"application of nothing":       {"applications:\n  -", "2: applications[0]: has nothing in it"},
		"application without a URL":    {"applications:\n- id: a", "2: applications[0].call_initiated_callback_url: is missing"},
		"application with a bad URL":   {"applications:\n- call_initiated_callback_url: /initiate", "2: applications[0].call_initiated_callback_url: must be an absolute http:// or https:// URL"},
		"application with ftp":         {oneApp + "call_status_callback_url: ftp://a/", "3: applications[0].call_status_callback_url: must be an absolute http:// or https:// URL"},
		"fallback without a host":      {oneApp + "call_initiated_fallback_url: 'http:///x'", "3: applications[0].call_initiated_fallback_url: must be an absolute http:// or https:// URL"},
		"application with a method":    {oneApp + "call_status_method: PUT", "3: applications[0].call_status_method: must be POST or GET"},
		"application without an id":    {oneApp + `id: ""`, "3: applications[0].id: must not be empty"},
		"application without a match":  {oneApp + "match: []", "3: applications[0].match: must not be empty: no call would match"},
		"application with a bad glob":  {oneApp + "match: [a, '[']", `3: applications[0].match[1]: "[" is no glob`},
		"application with a long tag":  {oneApp + "tag: " + strings.Repeat("ä", 257), "3: applications[0].tag: must have at most 256 characters"},
		"callback time-out too short":  {oneApp + "callback_timeout: 999ms", "3: applications[0].callback_timeout: must be from 1s to 25s"},
		"callback time-out too long":   {oneApp + "callback_timeout: 26s", "3: applications[0].callback_timeout: must be from 1s to 25s"},
		"recordings nowhere":           {`recordings: {dir: ""}`, "1: recordings.dir: must not be empty"},
		"recordings for no time":       {"recordings: {retention: 59s}", "1: recordings.retention: must be from 1m to 876000h"},
		"a store's bucket alone":       {"recordings: {s3: {bucket: x}}", "1: recordings.s3.endpoint: is missing, so that the rest of recordings.s3 would have no effect"},
		"a bucket no store has":        {"recordings: {s3: {endpoint: 'https://s3.example.com', bucket: b, access_key: a, secret_key: b}}", "1: recordings.s3.bucket: must be 3 to 63 letters, digits, dots, _ and -"},
		"a store without a bucket":     {"recordings: {s3: {endpoint: 'https://s3.example.com', access_key: a, secret_key: b}}", "1: recordings.s3.bucket: is missing"},
		"a store without a secret":     {"recordings: {s3: {endpoint: 'https://s3.example.com', bucket: calls, access_key: a}}", "1: recordings.s3.access_key: and recordings.s3.secret_key must both be set"},
		"a store at a path":            {"recordings: {s3: {endpoint: 'https://s3.example.com/x', bucket: calls, access_key: a, secret_key: b}}", "1: recordings.s3.endpoint: must be http:// or https:// and a host"},
		"a store without a scheme":     {"recordings: {s3: {endpoint: 's3.example.com', bucket: calls, access_key: a, secret_key: b}}", "1: recordings.s3.endpoint: must be http:// or https:// and a host"},
		"no listener":                  {"sip: {listen: []}", "1: sip.listen: must not be empty"},
		"listener without a transport": {"sip: {listen: ['127.0.0.1:5060']}", "1: sip.listen[0]: must be udp://ADDRESS:PORT, tcp://… or tls://…"},
		"listener with a name":         {"sip: {listen: ['udp://sip.example.com']}", `1: sip.listen[0]: "sip.example.com" is no IP address`},
		"listener with a bad port":     {"sip: {listen: ['udp://127.0.0.1:65536']}", `1: sip.listen[0]: "65536" is no port`},
		"listener with a colon":        {"sip: {listen: ['udp://127.0.0.1:']}", `1: sip.listen[0]: "127.0.0.1:" has a colon, but no port`},
		"listener with a bad bracket":  {"sip: {listen: ['udp://[::1']}", `1: sip.listen[0]: "[::1" is not [ADDRESS]:PORT`},
		"listener twice":               {"sip:\n  listen:\n  - udp://127.0.0.1\n  - udp://127.0.0.1:5060", "4: sip.listen[1]: udp://127.0.0.1:5060 stands there twice"},
		"wildcard without advertise":   {"sip:\n  listen:\n  - udp://0.0.0.0:5060\n  - tcp://0.0.0.0:5060", "3: sip.advertise: is needed with the wildcard listener udp://0.0.0.0:5060"},
		"TLS":                          {"sip:\n  listen:\n  - tls://127.0.0.1", "3: sip.tls.cert_file: is needed with the listener tls://127.0.0.1:5061"},
		"advertise that is no host":    {"sip: {advertise: 'sip:example.com'}", "1: sip.advertise: must be a host or host:port"},
		"advertise with port 0":        {"sip: {advertise: 'example.com:0'}", "1: sip.advertise: must be a host or host:port"},
		"CIDR":                         {"sip: {allow: [10.0.0.0/33]}", `1: sip.allow[0]: "10.0.0.0/33" is no range of addresses such as 10.0.0.0/8`},
		"CIDR of both families":        {"sip: {pstn_trunks: ['::ffff:0:0/80']}", `1: sip.pstn_trunks[0]: "::ffff:0:0/80" mixes IPv4 and IPv6`},
		"credential without a realm":   {"sip: {credentials: [{username: u}]}", "1: sip.credentials[0]: needs a realm and a username"},
		"limit that is negative":       {"sip: {max_calls: -1}", "1: sip.max_calls: must be from 0 to 1048576"},
		"reject code of success":       {"sip: {reject_code: 200}", "1: sip.reject_code: must be from 400 to 699"},
		"reject code of redirection":   {"sip: {reject_code: 302}", "1: sip.reject_code: must be from 400 to 699"},
		"transaction too long":         {"sip: {transaction_timeout: 33s}", "1: sip.transaction_timeout: must be from 100ms to 32s"},
		"session too short":            {"sip: {session_expires: 89s}", "1: sip.session_expires: must be from 1m30s to 24h"},
		"session below the least":      {"sip: {session_expires: 2m, min_se: 3m}", "1: sip.session_expires: must be from 3m to 24h"},
		"least session too short":      {"sip: {min_se: 1s}", "1: sip.min_se: must be from 1m30s to 24h"},
		"session in milliseconds":      {"sip: {min_se: 100500ms}", "1: sip.min_se: must be whole seconds"},
		"keepalive too short":          {"sip: {keepalive: 1ms}", "1: sip.keepalive: must be from 100ms to 24h"},
		"NOTIFY time-out too short":    {"refer: {notify_timeout: 99ms}", "1: refer.notify_timeout: must be from 100ms to 10m"},
		"NOTIFY time-out too long":     {"refer: {notify_timeout: 601s}", "1: refer.notify_timeout: must be from 100ms to 10m"},
		"target that is no glob":       {"refer: {allow_targets: ['']}", `1: refer.allow_targets[0]: "" is no glob`},
		"media address with a port":    {"media: {address: '192.0.2.1:4000'}", "1: media.address: must be an IP address or a host name"},
		"ports in reverse":             {"media: {rtp_ports: 3000-2000}", "1: media.rtp_ports: 3000-2000 is no range of UDP ports"},
		"ports beyond the last":        {"media: {rtp_ports: 65000-65536}", "1: media.rtp_ports: 65000-65536 is no range of UDP ports"},
		"ports without a pair":         {"media: {rtp_ports: 20001-20002}", "1: media.rtp_ports: 20001-20002 has no room for an even port and the next one, which each call needs"},
		"ports that are no range":      {"media: {rtp_ports: 20000}", "1: media.rtp_ports: must be a range of ports such as 20000-29999"},
		"no codec":                     {"media: {codecs: []}", "1: media.codecs: must not be empty"},
		"codec":                        {"media: {codecs: [PCMU, iLBC]}", "1: media.codecs[1]: must be PCMU, PCMA, G722 or opus"},
		"codec twice":                  {"media: {codecs: [PCMU, PCMU]}", "1: media.codecs[1]: PCMU stands there twice"},
		"engine":                       {"media: {tts: {engine: espeak}}", "1: media.tts.engine: must be espeak-ng, command, http or none"},
		"engine without its command":   {"media: {tts: {engine: command}}", "1: media.tts.command: is needed with media.tts.engine: command"},
		"another latching":             {"media: {latching: lax}", "1: media.latching: must be strict, any or off"},
		"endless latching":             {"media: {latching_time: 2h}", "1: media.latching_time: must be from 100ms to 1h"},
		"engine without its URL":       {"media: {tts: {engine: http}}", "1: media.tts.url: is needed with media.tts.engine: http"},
		"engine's URL":                 {"media: {tts: {url: tts.example.com}}", "1: media.tts.url: must be an absolute http:// or https:// URL"},
		"engine of transcription":      {"media: {stt: {engine: sphinx}}", "1: media.stt.engine: must be pocketsphinx, websocket or none"},
		"service without its URL":      {"media: {stt: {engine: websocket}}", "1: media.stt.url: is needed with media.stt.engine: websocket"},
		"service's URL":                {"media: {stt: {url: http://stt.example.com}}", "1: media.stt.url: must be an absolute ws:// or wss:// URL"},
		"number of processes":          {"media: {stt: {processes: -1}}", "1: media.stt.processes: must be from 0 to 1024"},
		"no folder of transcriptions":  {"transcriptions: {dir: \"\"}", "1: transcriptions.dir: must not be empty"},
		"transcriptions' retention":    {"transcriptions: {retention: 1s}", "1: transcriptions.retention: must be from 1m to 876000h"},
		"voice without a locale":       {"media: {tts: {voices: [{name: a, gender: male}]}}", "1: media.tts.voices[0]: needs a name and a locale"},
		"voice with a gender":          {"media: {tts: {voices: [{name: a, locale: de, gender: m}]}}", "1: media.tts.voices[0].gender: must be female or male"},
		"host that is no glob":         {"webhook: {allow_hosts: ['[a']}", `1: webhook.allow_hosts[0]: "[a" is no glob`},
		"URL for a host":               {"webhook: {allow_hosts: ['https://a']}", `1: webhook.allow_hosts[0]: "https://a" is no glob over a host`},
		"URI for a target":             {"refer: {allow_targets: ['sip:a@b']}", `1: refer.allow_targets[0]: "sip:a@b" is no glob over a host`},
		"API without a port":           {"api: {listen: 127.0.0.1}", "1: api.listen: must be HOST:PORT"},
		"API with a bad port":          {"api: {listen: '127.0.0.1:http'}", "1: api.listen: must be HOST:PORT"},
		"public URL with a query":      {"api: {public_url: 'http://a/?b=c'}", "1: api.public_url: must be an absolute http:// or https:// URL without a query"},
		"password alone":               {"api:\n  password: x", "1: api.username: is missing, so that api.password would protect nothing"},
		"user name with a colon":       {"api: {username: 'a:b', password: c}", "1: api.username: must not hold a colon"},
		"fsync":                        {"state: {fsync: never}", "1: state.fsync: must be interval or always"},
		"no retention":                 {"state: {call_retention: 0s}", "1: state.call_retention: must be from 1s to 876000h"},
		"no outbox":                    {"state: {outbox_max_age: 0s}", "1: state.outbox_max_age: must be from 1s to 876000h"},
		"HEP without a port":           {"hep: {address: homer}", "1: hep.address: must be HOST:PORT"},
		"HEP with port 0":              {"hep: {address: 'homer:0'}", "1: hep.address: must be HOST:PORT"},
		"HEP without a host":           {"hep: {address: ':9060'}", "1: hep.address: must be HOST:PORT"},
		"HEP over TLS":                 {"hep: {transport: tls}", "1: hep.transport: must be udp or tcp"},
		"HEP with a negative id":       {"hep: {capture_id: -1}", "1: hep.capture_id: must be from 0 to 4294967295"},
		"HEP with a long password":     {"hep: {password: " + strings.Repeat("x", 256) + "}", "1: hep.password: must have at most 255 bytes"},
		"traces to no URL":             {"tracing: {otlp_url: 'otel:4318'}", "1: tracing.otlp_url: must be an absolute http:// or https:// URL"},
		"text for a ratio":             {`tracing: {sample_ratio: "all"}`, "1: tracing.sample_ratio: must be a number, not a text"},
		"no number for a ratio":        {`tracing: {sample_ratio: .nan}`, "1: tracing.sample_ratio: must be a number"},
		"ratio above 1":                {"tracing: {sample_ratio: 1.5}", "1: tracing.sample_ratio: must be from 0 to 1"},
		"ratio below 0":                {"tracing: {sample_ratio: -0.1}", "1: tracing.sample_ratio: must be from 0 to 1"},
		"log level":                    {"log: {level: inf}", "1: log.level: must be debug, info, warn or error; did you mean info"},
		"log format":                   {"log: {format: text}", "1: log.format: must be console or json"},

		"TLS certificate":         {"sip: {tls: {cert_file: a}}", "1: sip.tls.key_file: is needed with sip.tls.cert_file"},
		"TLS key":                 {"sip: {tls: {key_file: a}}", "1: sip.tls.cert_file: is needed with sip.tls.key_file"},
		"connections":             {"sip: {max_connections: -1}", "1: sip.max_connections: must be from 0 to 1048576"},
		"TLS clients":             {"sip: {tls: {verify_client: true}}", "1: sip.tls.ca_file: is needed with sip.tls.verify_client"},
		"calls per second":        {"sip: {max_calls_per_second: -1}", "1: sip.max_calls_per_second: must be from 0 to 100000"},
		"unanswered calls":        {"sip: {max_unanswered: -1}", "1: sip.max_unanswered: must be from 0 to 1048576"},
		"requests per source":     {"sip: {max_requests_per_source: -1}", "1: sip.max_requests_per_source: must be from 0 to 100000"},
		"silence":                 {"sip: {silence_after: -1}", "1: sip.silence_after: must be from 0 to 100000"},
		"nonce lifetime":          {"sip: {nonce_lifetime: 0s}", "1: sip.nonce_lifetime: must be from 1s to 24h"},
		"realm with a line break": {`sip: {realm: "a\nb"}`, "1: sip.realm: must hold no control characters"},
		"user without a name":     {"sip:\n  users:\n  - {password: b}", "3: sip.users[0]: needs a username and a password"},
		"user without a password": {"sip:\n  users:\n  - {username: a}", "3: sip.users[0]: needs a username and a password"},
		"user with a colon":       {"sip:\n  users:\n  - {username: 'a:b', password: c}", "3: sip.users[0].username: must hold no colon and no control characters"},
		"user twice":              {"sip:\n  users:\n  - {username: a, password: b}\n  - {username: a, password: c}", "4: sip.users[1].username: a stands there twice"},
		"latency of webhooks":     {"webhook: {max_latency: 1ms}", "1: webhook.max_latency: must be from 10ms to 1m"},
		"NATS":                    {"state: {nats_url: 'http://127.0.0.1'}", "1: state.nats_url: must be a nats:// or tls:// URL, or several with commas between"},
		"one NATS of two":         {"state: {nats_url: 'nats://a.example.com,'}", "1: state.nats_url: must be a nats:// or tls:// URL, or several with commas between"},
		"a node's name":           {"state: {node: 'a.b'}", "1: state.node: must be letters, digits and -"},
		"a short lease":           {"state: {lease: 999ms}", "1: state.lease: must be from 1s to 5m"},
		"small detail records":    {"cdr: {max_mb: 0}", "1: cdr.max_mb: must be from 1 to 2147483647"},
		"short detail records":    {"cdr: {retention: 1m}", "1: cdr.retention: must be from 1h to 876000h"},
		"fsync of no kind":        {"state: {fsync: never}", "1: state.fsync: must be interval or always"},
		"too little state":        {"state: {max_mb: 63}", "1: state.max_mb: must be from 64 to 2147483647"},
	} {
		t.Run(name, func(t *testing.T) {
			file := configFile(t, tc.file)
			_, _, err := LoadConfig(ConfigSource{File: file})
			require.EqualError(t, err, file+":"+tc.want)
			var found *ConfigError
			require.ErrorAs(t, err, &found)
			assert.Equal(t, file, found.File)
			assert.Positive(t, found.Line)
		})
	}
}

func TestDefaultsMayBeWritten(t *testing.T) {
	_, _, err := LoadConfig(ConfigSource{File: configFile(t, `
sip: {users: [], tls: {cert_file: "", verify_client: false}, max_calls_per_second: 0}
state: {dir: ./callengine-data, nats_url: "", fsync: interval}
`)})
	assert.NoError(t, err)
}

func TestTheEnvironmentAndFlagsAreRefusedWithTheirNames(t *testing.T) {
	for name, tc := range map[string]struct {
		src  ConfigSource
		want string
	}{
		"wrong type":                {ConfigSource{Env: []string{"CALLENGINE_SIP_MAX_CALLS=many"}}, "CALLENGINE_SIP_MAX_CALLS: sip.max_calls: must be a whole number"},
		"out of range":              {ConfigSource{Env: []string{"CALLENGINE_SIP_REJECT_CODE=99"}}, "CALLENGINE_SIP_REJECT_CODE: sip.reject_code: must be from 400 to 699"},
		"element of a list":         {ConfigSource{Env: []string{"CALLENGINE_SIP_ALLOW=10.0.0.0/8,x"}}, `CALLENGINE_SIP_ALLOW: sip.allow: "x" is no range of addresses such as 10.0.0.0/8`},
		"empty element":             {ConfigSource{Env: []string{"CALLENGINE_SIP_ALLOW=10.0.0.0/8,,"}}, "CALLENGINE_SIP_ALLOW: sip.allow: holds an empty element"},
		"range of a list's element": {ConfigSource{Env: []string{"CALLENGINE_MEDIA_CODECS=PCMU,G729"}}, "CALLENGINE_MEDIA_CODECS: media.codecs[1]: must be PCMU, PCMA, G722 or opus; did you mean G722"},
		"truth value":               {ConfigSource{Env: []string{"CALLENGINE_SIP_TLS_VERIFY_CLIENT=ja"}}, "CALLENGINE_SIP_TLS_VERIFY_CLIENT: sip.tls.verify_client: must be true or false"},
		"list of objects":           {ConfigSource{Env: []string{"CALLENGINE_APPLICATIONS=[]"}}, "CALLENGINE_APPLICATIONS: applications: a list of objects can be set by the configuration file alone"},
		"into a list of objects":    {ConfigSource{Env: []string{"CALLENGINE_SIP_USERS_0_PASSWORD=x"}}, "CALLENGINE_SIP_USERS_0_PASSWORD: sip.users: a list of objects can be set by the configuration file alone"},
		"zero character":            {ConfigSource{Set: []string{"media.address=a\x00b"}}, "--set: media.address: holds a zero character"},

		"flag of an unknown key":          {ConfigSource{Set: []string{"sip.lisen=x"}}, "--set: sip.lisen: unknown key; did you mean sip.listen"},
		"flag without a value":            {ConfigSource{Set: []string{"log.level"}}, "--set: log.level: must be KEY=VALUE"},
		"flag of a section":               {ConfigSource{Set: []string{"sip=x"}}, "--set: sip: is a section; set one of its keys"},
		"flag of a list of objects":       {ConfigSource{Set: []string{"sip.credentials=x"}}, "--set: sip.credentials: a list of objects can be set by the configuration file alone"},
		"flag into a list of objects":     {ConfigSource{Set: []string{"applications[0].tag=x"}}, "--set: applications[0].tag: a list of objects can be set by the configuration file alone"},
		"flag out of range":               {ConfigSource{Set: []string{"drain_timeout=-1s"}}, "--set: drain_timeout: must not be negative"},
		"application that is not a URL":   {ConfigSource{App: "localhost:3000"}, "--app: must be an absolute http:// or https:// URL"},
		"application with a secret in it": {ConfigSource{App: "http://u:p w@x/"}, "--app: must be an absolute http:// or https:// URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := LoadConfig(tc.src)
			assert.EqualError(t, err, tc.want)
		})
	}
}

func TestAllErrorsAreToldInTheOrderOfTheFile(t *testing.T) {
	file := configFile(t, "log: {level: loud}\nsip:\n  keepalive: 5\n  listen: [tls://127.0.0.1]\nx: 1\n")
	_, _, err := LoadConfig(ConfigSource{File: file, Set: []string{"y=1"}})
	assert.EqualError(t, err, "--set: y: unknown key\n"+
		file+":1: log.level: must be debug, info, warn or error\n"+
		file+":3: sip.keepalive: must be a duration such as 15s, 500ms or 24h\n"+
		file+":4: sip.tls.cert_file: is needed with the listener tls://127.0.0.1:5061\n"+
		file+":5: x: unknown key")
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, _, err := LoadConfig(ConfigSource{File: missing})
	require.EqualError(t, err, missing+": no such file or directory")
	var found *ConfigError
	assert.ErrorAs(t, err, &found)

	folder := t.TempDir()
	_, _, err = LoadConfig(ConfigSource{File: folder})
	assert.ErrorContains(t, err, folder+": ")

	large := configFile(t, strings.Repeat("#\n", maxConfigSize))
	_, _, err = LoadConfig(ConfigSource{File: large})
	assert.EqualError(t, err, large+": is larger than 1048576 bytes")
}

func TestWhatMayNotBeMeantIsWarnedOf(t *testing.T) {
	open := "sip.listen: udp://192.0.2.1:5060 takes calls from everybody who can reach it; sip.allow says who may"
	for name, tc := range map[string]struct {
		src  ConfigSource
		want []string
	}{
		"unknown variable":         {ConfigSource{Env: []string{"CALLENGINE_SIP_LISTN=x"}}, []string{"CALLENGINE_SIP_LISTN: unknown variable, ignored; did you mean CALLENGINE_SIP_LISTEN"}},
		"variable of a service":    {ConfigSource{Env: []string{"CALLENGINE_PORT_5060_UDP_ADDR=10.0.0.1"}}, []string{"CALLENGINE_PORT_5060_UDP_ADDR: unknown variable, ignored"}},
		"section":                  {ConfigSource{Env: []string{"CALLENGINE_SIP=x"}}, []string{"CALLENGINE_SIP: unknown variable, ignored"}},
		"SIP open to everybody":    {ConfigSource{Set: []string{"sip.listen=udp://192.0.2.1,tcp://127.0.0.1"}}, []string{open}},
		"SIP open to some":         {ConfigSource{Set: []string{"sip.listen=udp://192.0.2.1", "sip.allow=10.0.0.0/8"}}, nil},
		"API open to everybody":    {ConfigSource{Set: []string{"api.listen=192.0.2.1:80"}}, []string{"api.listen: 192.0.2.1:80 tells everybody who can reach it of all calls; set api.username and api.password"}},
		"API with credentials":     {ConfigSource{Set: []string{"api.listen=192.0.2.1:80", "api.username=a", "api.password=b"}}, nil},
		"API with an empty secret": {ConfigSource{Set: []string{"api.username=a"}}, []string{"api.password: is empty"}},
		"more calls than ports":    {ConfigSource{Set: []string{"sip.max_calls=3", "media.rtp_ports=20001-20005"}}, []string{"sip.max_calls: 3 calls are let in at a time, but media.rtp_ports has room for 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := LoadConfig(tc.src)
			require.NoError(t, err)
			assert.Equal(t, tc.want, warnings)
		})
	}
}
