package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const library = "../testdata/scenarios"

// loadLibrary reads every scenario of the library.
func loadLibrary(t *testing.T) []*File {
	t.Helper()
	paths, err := Find(library)
	require.NoError(t, err)
	var files []*File
	for _, path := range paths {
		f, err := Load(path)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

// went fails the test with the ladder of a scenario that went otherwise than it expects.
func went(t *testing.T, r Result) {
	t.Helper()
	if !r.OK() {
		var ladder bytes.Buffer
		require.NoError(t, r.WriteLadder(&ladder, state.Ladder{}))
		t.Errorf("%s\n%s", r.First(), ladder.String())
	}
}

// TestLibrary runs every scenario in memory, where waiting takes no time.
func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, f := range loadLibrary(t) {
		name, _ := filepath.Rel(library, f.Path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { went(t, f.Run(t.Context(), RunOptions{Network: NewMemory()})) })
		})
	}
}

// TestLibraryOverLoopback runs the scenarios as users do. Nothing runs beside them: sound that is sent in real time wants a
// processor when it wants it.
func TestLibraryOverLoopback(t *testing.T) {
	RunAll(t.Context(), loadLibrary(t), 8, RunOptions{}, func(r Result) {
		t.Run(r.File.Path, func(t *testing.T) { went(t, r) })
	})
}

func TestMistakesAreToldWithTheirPlaces(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"unknown key":         {"nam: x\n", []string{"1:1: unknown key nam; did you mean name"}},
		"all at once":         {"nam: x\ncall: {tp: y}\nphone: 3\n", []string{"1:1: unknown key nam; did you mean name", "2:8: unknown key tp; did you mean to", "3:8: must hold keys such as wait, refer or answer, not \"3\""}},
		"twice":               {"name: x\nname: y\n", []string{"2:1: name stands there twice"}},
		"no value":            {"name:\n", []string{"1:6: name has no value"}},
		"no list of words":    {"call: {transport: tpc}\n", []string{"1:19: transport must be udp, tcp or tls, not \"tpc\"; did you mean tcp"}},
		"no number":           {"impairments: [{lose: REFER, count: many}]\n", []string{"1:36: must be a whole number, not \"many\""}},
		"out of range":        {"impairments: [{lose: REFER, count: 0}]\n", []string{"1:36: count must be from 1 to 100000"}},
		"no duration":         {"timeout: 3 weeks\n", []string{"1:10: must be a duration such as 500ms, 2s or 1m, not \"3 weeks\""}},
		"no truth":            {"call: {hold_ack: 1}\n", []string{"1:18: must be true or false, not \"1\""}},
		"no action":           {"phone: [{delay: 1s}]\n", []string{"1:9: one of wait, refer, answer, notify, transfer, bye, cancel, ack, hold, resume, reinvite, options, info, request, raw, burst, repeat, digits, say, tone, silence, audio, answers, disappear, disconnect is missing"}},
		"two actions":         {"phone: [{bye: , cancel: }]\n", []string{"1:9: bye and cancel cannot stand together: one of them is enough"}},
		"misspelt step":       {"phone: [refr]\n", []string{"1:9: must hold keys such as wait, refer or answer, not \"refr\"; did you mean refer"}},
		"something missing":   {"phone: [{tone: {hertz: 3}}]\n", []string{"1:16: time is missing"}},
		"no status":           {"phone: [{refer: 20}]\n", []string{"1:17: must be a status from 100 to 699, none or later, not \"20\""}},
		"no message":          {"phone: [{wait: RINGING}]\n", []string{"1:16: \"RINGING\" is no SIP method"}},
		"not in a burst":      {"phone: [{burst: [hold]}]\n", []string{"1:18: in a burst there can be notify, bye, options, info and request, without delay or at"}},
		"an id":               {"phone: [{notify: {sipfrag: 200, id: frist}}]\n", []string{"1:37: id must be a number, first, last or none, not \"frist\""}},
		"two bodies":          {"phone: [{notify: {sipfrag: 200, body: x}}]\n", []string{"1:18: sipfrag or body must be there, and only one of them"}},
		"no key of a phone":   {"phone: [{digits: 12x}]\n", []string{"1:18: \"x\" is no key of a phone"}},
		"no event":            {"application: {replies: {referCompleted: 200}}\n", []string{"1:25: referCompleted is no event type, and no path that begins with /; did you mean referComplete"}},
		"no file":             {"application: {file: none.bxml}\n", []string{"1:21: none.bxml: no such file or directory"}},
		"two documents":       {"application: {file: none.bxml, bxml: <Response/>}\n", []string{"1:14: bxml and file cannot stand together: one of them is enough"}},
		"two answers":         {"application: {bxml: <Response/>, replies: {initiate: 204}}\n", []string{"1:14: the reply to initiate is there twice: once as bxml or file, once in replies"}},
		"real and scripted":   {"application: {url: http://x, bxml: <Response/>}\n", []string{"1:14: url cannot stand with replies: a real application gives its own"}},
		"no answer with body": {"application: {replies: {initiate: {hang: true, status: 200}}}\n", []string{"1:35: hang and drop give no answer: nothing else can stand with them"}},
		"no reply":            {"application: {replies: {initiate: hello}}\n", []string{"1:35: must be a status, a document, the name of a file (*.bxml, *.xml, *.wav, *.mp3), or keys, not \"hello\""}},
		"placeholder":         {"application: {bxml: 'x ${deks}'}\ndestinations: {desk: }\n", []string{"1:21: ${deks} is neither a destination nor node, app, websocket or phone; did you mean desk"}},
		"setting":             {"settings:\n  refer.notify_timout: 1s\n", []string{"2:3: refer.notify_timout: unknown key; did you mean notify_timeout"}},
		"setting's value":     {"settings:\n  refer:\n    notify_timeout: 1h\n", []string{"3:5: refer.notify_timeout: must be from 100ms to 10m"}},
		"setting's type":      {"settings: 3\n", []string{"1:11: must hold keys of the configuration, not \"3\""}},
		"property":            {"expect: {order: [{webhook: disconnect, with: {cuase: hangup}}]}\n", []string{"1:47: cuase is no property of disconnect; did you mean cause"}},
		"absent property":     {"expect: {order: [{webhook: disconnect, without: [cuase]}]}\n", []string{"1:49: cuase is no property of disconnect; did you mean cause"}},
		"record":              {"expect: {record: {refers: [{evidnce: x}], stat: y}}\n", []string{"1:29: evidnce is no property of a Refer's record; did you mean evidence", "1:43: stat is no property of the record; did you mean state"}},
		"another's key":       {"expect: {order: [{sip: BYE, with: {x: y}}]}\n", []string{"1:29: with goes with webhook, not with sip"}},
		"regular expression":  {"expect: {order: [{sip: BYE, body: {matches: '('}}]}\n", []string{"1:45: is no regular expression: missing closing ): `(`"}},
		"absent value":        {"expect: {record: {state: }}\n", []string{"1:26: has no value; {present: false} stands for what must not be there"}},
		"impaired TCP":        {"call: {transport: tcp}\nimpairments: [{lose: REFER}]\n", []string{"2:22: only UDP packets can be impaired, and the call's transport is tcp"}},
		"not YAML":            {"a: [\n", []string{"2:1: is not YAML: did not find expected node content"}},
		"open brackets":       {"name: x\ncall: {to: a\n", []string{"2:1: is not YAML: did not find expected ',' or '}' in the brackets here; a text in them that holds , { } [ ] or begins with ? wants quotes"}},
		"uneven keys":         {"name: x\ncall:\n  to: a\n from: b\n", []string{"4:1: is not YAML: did not find expected key among the keys here; they must be indented alike"}},
		"uneven list":         {"name: x\nphone:\n  - bye\n  bye: x\n", []string{"3:1: is not YAML: did not find expected '-' indicator in the list here; its items must be indented alike"}},
		"tab":                 {"name: x\ncall:\n\tto: a\n", []string{"3:1: is not YAML: found character that cannot start any token; lines are indented by spaces, not tabs, and a text that begins with @, % or ` wants quotes"}},
		"colon":               {"name: x\ndescription: that: this\n", []string{"2:1: is not YAML: mapping values are not allowed in this context; a text with a colon and a space in it wants quotes"}},
		"no verb":             {"expect: {never: [{verb: Hangupp}], verbs: [Refer, Speak]}\n", []string{"1:25: Hangupp is no verb; did you mean Hangup"}},
		"no verb in a list":   {"expect: {verbs: [Refer, Speek], webhooks: [init, disconnect]}\n", []string{"1:25: Speek is no verb", "1:44: init is no event type"}},
		"no verb to wait for": {"phone: [{wait: {verb: Playaudio}}, {wait: {webhook: refercomplete}}]\n", []string{"1:23: Playaudio is no verb; did you mean PlayAudio", "1:53: refercomplete is no event type; did you mean referComplete"}},
		"no timer":            {"expect: {order: [{timer: refer_notify}]}\n", []string{"1:26: refer_notify is no timer; did you mean refer.notify"}},
		"no URL":              {"application: {url: \"127.0.0.1:3000\"}\n", []string{"1:20: must be an absolute http:// or https:// URL, not \"127.0.0.1:3000\""}},
		"settings in a line":  {"settings: {sip: {rejct_code: 4}, refer.notify_timeout: 1h}\n", []string{"1:18: sip.rejct_code: unknown key; did you mean reject_code", "1:34: refer.notify_timeout: must be from 100ms to 10m"}},
		"empty":               {"", []string{" is not YAML: it is empty"}},
		"two documents YAML":  {"name: x\n---\nname: y\n", []string{"2:1: is not YAML: a second document; there may be only one"}},
		"header":              {"call: {headers: {'X Y': z}}\n", []string{"1:18: \"X Y\" is no name of a header field"}},
		"no mapping":          {"- x\n", []string{"1:1: must hold keys, not a list"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("s.yaml", []byte(tc.text))
			var errs FileErrors
			require.ErrorAs(t, err, &errs)
			var got []string
			for _, e := range errs {
				got = append(got, strings.TrimPrefix(e.Error(), "s.yaml:"))
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func FuzzParse(f *testing.F) {
	paths, err := Find(library)
	require.NoError(f, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte("a: &a [*a, *a]\nphone: *a\n"))
	f.Add([]byte("settings: &s {x: *s}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Parse("fuzz/none/s.yaml", content)
		if err == nil {
			assert.NotEmpty(t, file.Name())
			return
		}
		var errs FileErrors
		assert.ErrorAs(t, err, &errs)
		assert.NotEmpty(t, errs)
	})
}

func TestSchemaIsThatOfTheDecoder(t *testing.T) {
	t.Parallel()
	const path = "../docs/scenario.schema.json"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, Schema(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(Schema()), "UPDATE=1 go test writes it")
}
