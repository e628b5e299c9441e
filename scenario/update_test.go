package scenario

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inMemory runs a scenario in a bubble.
func inMemory(t *testing.T, text string) Result {
	t.Helper()
	f, err := Parse("s.yaml", []byte(text))
	require.NoError(t, err, text)
	var r Result
	synctest.Test(t, func(t *testing.T) { r = f.Run(t.Context(), RunOptions{Network: NewMemory()}) })
	return r
}

// TestUpdateExpectsWhatHappened gives, for each scenario, the lines that an update changes ("-" and "+"), and holds the
// updated one to what happens when it runs again.
func TestUpdateExpectsWhatHappened(t *testing.T) {
	t.Parallel()
	const speaks = "# who calls\ncall: {to: shop} # a shop\napplication: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\n"
	const refers = "application: {bxml: <Response><Refer referCompleteUrl='/done'><SipUri>sip:desk@pbx</SipUri></Refer></Response>}\nphone: [{refer: 202}, {notify: 486}]\n"
	for name, tc := range map[string]struct{ text, changes string }{
		"a property": {
			refers + "expect:\n  # busy, so that\n  order:\n    - {webhook: referComplete, with: {notifySipResponseCode: 200, referCallStatus: success}} # it fails\n",
			"-    - {webhook: referComplete, with: {notifySipResponseCode: 200, referCallStatus: success}} # it fails\n" +
				"+    - {webhook: referComplete, with: {notifySipResponseCode: 486, referCallStatus: failure}} # it fails\n",
		},
		"a quoted property": {
			speaks + "expect:\n  anywhere:\n    - webhook: disconnect\n      with:\n        cause: \"error\"\nname: x\n",
			"-        cause: \"error\"\n+        cause: hangup\n",
		},
		"a header, and what a call is named by": {
			refers + "expect: {order: [{sip: BYE, headers: {To: '<sip:x>', Max-Forwards: 7}}]}",
			"", // the To holds a tag: it is updated, and is another one next time
		},
		"a part of the record": {
			refers + "expect:\n  record:\n    disconnectCause: cancel # or not\n    refers:\n      - {status: success, billable: false}\n\n# the end\ntimeout: 9s\n",
			"-      - {status: success, billable: false}\n-    disconnectCause: cancel # or not\n+      - {status: failure, billable: true}\n+    disconnectCause: hangup # or not\n",
		},
		"another number of Refers": {
			speaks + "expect:\n  record:\n    refers: [{status: success}]\n  verbs: SpeakSentence\n",
			"-    refers: [{status: success}]\n+    disconnectCause: hangup\n",
		},
		"verbs": {
			speaks + "expect:\n  verbs: [SpeakSentence, Hangup]\n  # these\n  webhooks:\n    - initiate\n\n\n# the end\n",
			"-    - initiate\n-  verbs: [SpeakSentence, Hangup]\n-  webhooks:\n+  verbs: [SpeakSentence]\n+  webhooks: [initiate, disconnect]\n",
		},
		"something that did not come": {
			speaks + "expect:\n  order:\n    - webhook: gather # what for\n  never:\n    - verb: Refer\n",
			"-    - webhook: gather # what for\n+        cause: hangup\n+      with:\n+    - webhook: disconnect\n+    - webhook: initiate\n",
		},
		"something that came, and something that did not": {
			speaks + "expect:\n  never:\n    - verb: Refer # never\n    - verb: SpeakSentence\n    - verb: Gather\n  anywhere: [{sip: REFER}]\n",
			"-    - verb: SpeakSentence\n-  anywhere: [{sip: REFER}]\n",
		},
		"times": {
			speaks + "expect:\n  order:\n    - {sip: BYE, within: 100ms}\n    - {webhook: disconnect, times: 3}\n    - {webhook: disconnect, reply: 200}\n",
			"-    - {sip: BYE, within: 100ms}\n-    - {webhook: disconnect, reply: 200}\n-    - {webhook: disconnect, times: 3}\n" +
				"+        cause: hangup\n+      with:\n+    - webhook: disconnect\n+    - webhook: initiate\n",
		},
		"sound": {
			speaks + "expect:\n  heard: {at_least: 2s, tone: 1000}\n",
			"-  heard: {at_least: 2s, tone: 1000}\n+  heard: {at_least: 200ms, tone: 440}\n",
		},
		"calls": {
			speaks + "destinations: {desk: }\nexpect:\n  called: {desk: 2}\n",
			"-  called: {desk: 2}\n+  called: {desk: 0}\n",
		},
		"all in one line": {
			speaks + "expect: {verbs: [Hangup], heard: {tone: 440}}\ntimeout: 9s\n",
			"-expect: {verbs: [Hangup], heard: {tone: 440}}\n+  heard: {tone: 440}\n+  verbs: [SpeakSentence]\n+expect:\n",
		},
		"nothing was expected": {
			speaks + "timeout: 9s",
			"+        cause: hangup\n+      with:\n+    - webhook: disconnect\n+    - webhook: initiate\n+    disconnectCause: hangup\n" +
				"+  order:\n+  record:\n+  verbs: [SpeakSentence]\n+  webhooks: [initiate, disconnect]\n+expect:\n",
		},
		"nothing, and that was said": {
			speaks + "expect: {} # later\ntimeout: 9s\n",
			"-expect: {} # later\n+        cause: hangup\n+      with:\n+    - webhook: disconnect\n+    - webhook: initiate\n+    disconnectCause: hangup\n" +
				"+  order:\n+  record:\n+  verbs: [SpeakSentence]\n+  webhooks: [initiate, disconnect]\n+expect:\n",
		},
		"an address": {
			"application: {bxml: '<Response><Refer><SipUri>${desk}</SipUri></Refer></Response>'}\nphone: [transfer]\ndestinations: {desk: }\nexpect: {order: [{sip: REFER, headers: {Refer-To: <sip:desk>}}]}\n",
			"-expect: {order: [{sip: REFER, headers: {Refer-To: <sip:desk>}}]}\n+expect: {order: [{sip: REFER, headers: {Refer-To: \"<${desk}>\"}}]}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := inMemory(t, tc.text).Update()
			require.NoError(t, err)
			if tc.changes == "" {
				require.Contains(t, string(text), "Max-Forwards: 70")
				return
			}
			assert.Equal(t, tc.changes, changes(tc.text, string(text)), string(text))
			again := inMemory(t, string(text))
			went(t, again)
			text, err = again.Update()
			require.NoError(t, err)
			assert.Nil(t, text, "what holds stays as it is")
		})
	}
}

// changes lists the lines that only one of two texts has: those of the first, then those of the second, by the alphabet.
func changes(before, after string) string {
	only := func(mark string, a, b string) string {
		var lines []string
		for line := range strings.Lines(a) {
			if line = strings.TrimRight(line, "\n") + "\n"; !strings.Contains("\n"+b+"\n", "\n"+line) {
				lines = append(lines, mark+line)
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	return only("-", before, after) + only("+", after, before)
}

func TestUpdateOfWhatWasNotPlayed(t *testing.T) {
	t.Parallel()
	const speaks = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\n"
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"a step that failed":        {speaks + "phone: [refer: 202]\nexpect: {verbs: []}", errNotPlayed},
		"one that cannot be helped": {speaks + "expect: {heard: {tones: [700]}}", errNoWay},
		"a file in one line":        {"{application: {bxml: <Response/>}, expect: {verbs: [Hangup]}}", errNoWay},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inMemory(t, tc.text).Update()
			assert.ErrorIs(t, err, tc.want)
		})
	}
}

// TestUpdateOfTheLibrary updates each scenario of the library without its expectations.
func TestUpdateOfTheLibrary(t *testing.T) {
	t.Parallel()
	for _, f := range loadLibrary(t) {
		t.Run(f.Path, func(t *testing.T) {
			t.Parallel()
			head, _, found := strings.Cut(string(f.text), "\nexpect:")
			require.True(t, found)
			bald := &File{Path: f.Path}
			require.NoError(t, bald.parse([]byte(head+"\n")))
			var r, again Result
			synctest.Test(t, func(t *testing.T) { r = bald.Run(t.Context(), RunOptions{Network: NewMemory()}) })
			text, err := r.Update()
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(string(text), head+"\nexpect:\n"), string(text))
			updated := &File{Path: f.Path}
			require.NoError(t, updated.parse(text))
			synctest.Test(t, func(t *testing.T) { again = updated.Run(t.Context(), RunOptions{Network: NewMemory()}) })
			went(t, again)
		})
	}
}
