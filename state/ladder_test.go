package state

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func drawn(t *testing.T, l Ladder, entries []Entry) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, l.Write(&b, entries))
	return b.String()
}

func columnsOf(text string) (n int) {
	for _, c := range text {
		n += columns(c)
	}
	return n
}

// requireDrawable holds what is true of every ladder: its width, and that nothing in it moves a terminal's cursor.
func requireDrawable(t *testing.T, text string, l Ladder) {
	t.Helper()
	limit := l.Width
	if limit <= 0 || limit > MaxLadderWidth {
		limit = MaxLadderWidth
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		require.LessOrEqual(t, columnsOf(line), limit, line)
		require.Equal(t, -1, strings.IndexFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }), "%q", line)
	}
}

func TestLadderTellsOfAFailingAndRecoveringRefer(t *testing.T) {
	t.Parallel()
	golden(t, "ladder-refer-recovers", drawn(t, Ladder{}, failingAndRecovering()))
}

func TestLadderOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	golden(t, "ladder-narrow", drawn(t, Ladder{Width: 72}, failingAndRecovering()))
}

// whatGoesWrong is a call on which nearly everything does.
func whatGoesWrong() []Entry {
	s := &scribe{callID: "c-wrong"}
	invite := "INVITE sip:demo@192.0.2.10 SIP/2.0" + headers + "\n"
	s.sip(0, "in", "INVITE", 1, invite)
	s.sip(510, "in", "INVITE", 1, invite)
	s.call(511, Call{Event: CallInitiated, From: "sip:u:geheim@h", To: "sip:demo@192.0.2.10", Direction: "inbound"})
	w := Webhook{Event: WebhookRequest, EventType: "initiate", Method: "GET", URL: "https://u:geheim@app.example.com?eventType=initiate", Attempt: 1}
	s.webhook(512, w)
	w.Event, w.Error, w.Millis = WebhookReply, "dial tcp 192.0.2.20:443: connect: connection refused", 3
	s.webhook(515, w)
	w.Event, w.Error, w.Attempt = WebhookRequest, "", 2
	s.webhook(515, w)
	w.Event, w.Status = WebhookReply, 503
	s.webhook(518, w)
	s.webhook(518, Webhook{Event: WebhookRequest, EventType: "referComplete", Method: "POST", URL: "https://app.example.com/calls/refer-complete", Attempt: 1})
	s.webhook(518, Webhook{Event: WebhookReply, EventType: "referComplete", Status: 204})
	s.document(519, Document{Error: `3:7: unknown verb "Reffer"; did you mean "Refer"?`})
	s.document(519, Document{Verbs: []string{"Refer"}, Warnings: []string{`2:9: unknown attribute "colour" of Refer is ignored`}})
	s.document(519, Document{})
	s.verb(520, Verb{Event: VerbStarted, Name: "Refer", Line: 2})
	empty := ""
	s.call(520, Call{Event: CallTagged, Tag: &empty})
	s.sip(525, "out", "REFER", 100, "REFER sip:a@192.0.2.77 SIP/2.0"+headers+"r: <sip:x:geheim@y?Replaces=1%3Bto-tag%3D2>\n\n")
	s.sip(530, "in", "REFER", 100, "SIP/2.0 405 Method Not Allowed"+headers+"\n")
	rejected := Refer{ID: "100", Target: "sip:x:geheim@y", SentTime: *after(525), EndTime: after(530), ReferSIPResponseCode: 405, Status: ReferFailure, Evidence: "rejected"}
	s.refer(530, rejected)
	succeeded := Refer{ID: "103", Target: "sip:z@y", SentTime: *after(540), AcceptedTime: after(541), EndTime: after(600), ReferSIPResponseCode: 200, NotifySIPResponseCode: 200, Status: ReferSuccess, Evidence: "final-notify"}
	s.refer(600, succeeded)
	s.refer(610, Refer{ID: "104", Target: "sip:z@y", Status: ReferPending})
	s.verb(620, Verb{Event: VerbEnded, Name: "Refer", Next: "end", Error: "only an inbound SIP URI call can be referred, and this one came from a telephone trunk"})
	s.sip(621, "out", "INVITE", 1, "SIP/2.0 500 Server Internal Error"+headers+"Retry-After: 5\n\n")
	s.call(622, Call{Event: CallEnded, Cause: "application-error", At: *after(622), ErrorMessage: "Refer: only an inbound SIP URI call can be referred, and this one came from a telephone trunk"})
	s.webhook(623, Webhook{Event: WebhookFailed, EventType: "disconnect", Error: "404 Not Found"})
	return s.entries
}

func TestLadderTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	text := drawn(t, Ladder{}, whatGoesWrong())
	assert.NotContains(t, text, "geheim")
	golden(t, "ladder-errors", text)
}

func TestLadderInColour(t *testing.T) {
	t.Parallel()
	plain := drawn(t, Ladder{}, whatGoesWrong())
	colored := drawn(t, Ladder{Color: true}, whatGoesWrong())
	assert.NotContains(t, plain, "\x1b")
	assert.Equal(t, plain, regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(colored, ""), "the same but for its colours")
	for line := range strings.Lines(colored) {
		if strings.Contains(line, "\x1b") {
			assert.True(t, strings.HasSuffix(line, "\x1b[0m\n"), "colours end with their line: %q", line)
		}
	}
	golden(t, "ladder-colour", strings.ReplaceAll(colored, "\x1b", "ESC"))
}

func TestEachCallHasItsLadder(t *testing.T) {
	t.Parallel()
	one, two := failingAndRecovering(), whatGoesWrong()
	var mixed []Entry
	for i := range max(len(one), len(two)) {
		if i < len(one) {
			mixed = append(mixed, one[i])
		}
		if i < len(two) {
			mixed = append(mixed, two[i])
		}
	}
	assert.Equal(t, drawn(t, Ladder{}, one)+"\n"+drawn(t, Ladder{}, two), drawn(t, Ladder{}, mixed))
}

func TestALadderIsNeverWiderThanAllowed(t *testing.T) {
	t.Parallel()
	for _, entries := range [][]Entry{failingAndRecovering(), whatGoesWrong(), hostile()} {
		for columns := -1; columns <= 130; columns++ {
			l := Ladder{Width: columns}
			requireDrawable(t, drawn(t, l, entries), l)
		}
	}
}

// hostile is a journal whose texts want to move the terminal's cursor, or are wider than they are long.
func hostile() []Entry {
	s := &scribe{callID: "c-\x1b[2J"}
	s.sip(0, "in", "INVITE", 1, "INVITE sip:\x1b]0;x\x07@"+strings.Repeat("漢", 200)+" SIP/2.0\n\n")
	s.call(1, Call{Event: CallInitiated, From: "sip:\u202e@\u0301\u0301" + strings.Repeat("字", 90), To: "\r\n\xff\xfe"})
	s.document(2, Document{Error: strings.Repeat("漢字 ", 200)})
	s.document(3, Document{Error: strings.Repeat("x", 2000)})
	s.verb(4, Verb{Event: VerbStarted, Name: "\x9b31m"})
	s.call(100_000_000, Call{Event: CallEnded, Cause: "error", ErrorMessage: strings.Repeat("a\tb\vc ", 100)})
	return s.entries
}

func TestTimesAreRelativeToTheEarliestEntry(t *testing.T) {
	t.Parallel()
	text := drawn(t, Ladder{}, []Entry{
		{CallID: "c-1", Time: began.Add(time.Second), Timer: &Timer{Name: "later"}},
		{CallID: "c-1", Time: began, Timer: &Timer{Name: "earlier"}}, // its bytes came first, its entry second
	})
	assert.Regexp(t, `1\.000 .*later`, text)
	assert.Regexp(t, `0\.000 .*earlier`, text)
}

func TestNothingDrawsNothing(t *testing.T) {
	t.Parallel()
	assert.Empty(t, drawn(t, Ladder{}, nil))
}

type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestTheWritersErrorIsReturned(t *testing.T) {
	t.Parallel()
	assert.ErrorIs(t, Ladder{}.Write(fullDisk{}, failingAndRecovering()), errFull)
}

func TestLongTextsAreWrappedAtSpacesAndThenCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text     string
		n, lines int
		want     []string
	}{
		"fits":              {"a b c", 5, 2, []string{"a b c"}},
		"at a space":        {"alpha beta gamma", 11, 2, []string{"alpha beta", "gamma"}},
		"just before one":   {"alpha beta gamma", 10, 2, []string{"alpha beta", "gamma"}},
		"within a word":     {"abcdefgh", 5, 2, []string{"abcde", "fgh"}},
		"cut":               {"alpha beta gamma", 10, 1, []string{"alpha bet…"}},
		"cut in its last":   {"alpha beta gamma delta", 6, 2, []string{"alpha", "beta…"}},
		"one too long":      {"abcdef", 5, 1, []string{"abcd…"}},
		"wide characters":   {"漢字漢字", 5, 2, []string{"漢字", "漢字"}},
		"one wide, no room": {"漢", 1, 3, []string{"…"}},
		"no room at all":    {"abc", 0, 3, []string{""}},
		"spaces collapse":   {" a \t\n b ", 9, 1, []string{"a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, wrapped(tc.text, tc.n, tc.lines))
		})
	}
}

func TestTheLadderInTheDocumentationIsOneThatWasDrawn(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "journal.md"))
	require.NoError(t, err)
	_, shown, found := strings.Cut(string(page), "```text\n")
	require.True(t, found)
	shown, _, _ = strings.Cut(shown, "```")
	assert.Contains(t, drawn(t, Ladder{}, failingAndRecovering()), shown)
}

func TestLadderShowsDigits(t *testing.T) {
	t.Parallel()
	s := &scribe{callID: testCall}
	s.digit(0, "1", "rtp")
	s.digit(10, "*", "info")
	s.digit(20, "A", "tone")
	s.digit(30, "9", "telepathy")
	text := drawn(t, Ladder{}, s.entries)
	for _, want := range []string{"├╴ digit 1, RTP event ", "├╴ digit *, INFO ", "├╴ digit A, tone ", "├╴ digit 9, telepathy "} {
		assert.Contains(t, text, want)
	}
}
