package sipstack

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventHeader(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		line string
		want eventHeader
	}{
		"plain":            {"Event: refer", eventHeader{name: "refer"}},
		"id":               {"Event: refer;id=93809823", eventHeader{"refer", "93809823"}},
		"compact":          {"o: refer;id=3", eventHeader{"refer", "3"}},
		"compact, capital": {"O: refer", eventHeader{name: "refer"}},
		"letter case":      {"EVENT: Refer;ID=4", eventHeader{"Refer", "4"}},
		"spaces":           {"Event:   refer ;\tid = 4 ; x", eventHeader{"refer", "4"}},
		"other parameters": {"Event: refer;x=1;id=4;call-id=\"a;id=5\"", eventHeader{"refer", "4"}},
		"quoted id":        {`Event: refer;id="4"`, eventHeader{"refer", "4"}},
		"the first id":     {"Event: refer;id=4;id=5", eventHeader{"refer", "4"}},
		"id without value": {"Event: refer;id", eventHeader{name: "refer"}},
		"another package":  {"Event: presence.winfo", eventHeader{name: "presence.winfo"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev, ok := readEvent(parseNotify(t, "", tc.line))
			require.True(t, ok)
			assert.Equal(t, tc.want, ev)
		})
	}
	for name, line := range map[string]string{"none": "", "empty": "Event: ", "parameters only": "Event: ;id=4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := readEvent(parseNotify(t, "", line))
			assert.False(t, ok)
		})
	}
}

func TestEventIDIsACSeq(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]uint32{"1": 1, "0007": 7, "4294967295": 4294967295} {
		cseq, ok := eventHeader{"refer", id}.cseq()
		assert.True(t, ok, id)
		assert.Equal(t, want, cseq)
	}
	for _, id := range []string{"", "x", "-1", "+1", "1.0", "4294967296", "0x10", "1 2"} {
		_, ok := eventHeader{"refer", id}.cseq()
		assert.False(t, ok, id)
	}
}

func TestSubscriptionState(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"Subscription-State: active;expires=60":             "active",
		"Subscription-State: pending":                       "pending",
		"Subscription-State: terminated;reason=noresource":  "terminated",
		"subscription-state: Terminated;Reason=timeout":     "terminated",
		"Subscription-State:  terminated ; reason = giveup": "terminated",
		"Subscription-State: waiting":                       "waiting",
		"Subscription-State: ":                              "active",
		"":                                                  "active",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, readSubscriptionState(parseNotify(t, "", line)))
		})
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"Content-Type: message/sipfrag":                     "message/sipfrag",
		"Content-Type: message/sipfrag;version=2.0":         "message/sipfrag",
		`CONTENT-TYPE: Message/SIPFRAG ; Version = "2.0"`:   "message/sipfrag",
		"c: message/sipfrag;version=2.0":                    "message/sipfrag",
		"C: message/sipfrag":                                "message/sipfrag",
		"Content-Type: application/sdp":                     "application/sdp",
		"Content-Type: message/sipfrag-x":                   "message/sipfrag-x",
		`Content-Type: multipart/mixed;boundary="a;b\"c"`:   "multipart/mixed",
		"Content-Type:\r\n message/sipfrag;\r\n\tversion=2": "message/sipfrag",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got, ok := readContentType(parseNotify(t, "x", line))
			require.True(t, ok)
			assert.Equal(t, want, got)
		})
	}
	_, ok := readContentType(parseNotify(t, "x"))
	assert.False(t, ok)
}

func TestParametersInQuotes(t *testing.T) {
	t.Parallel()
	head, params := cutParams(`a ; B="c;d\"e" ; ;=x; f ; b=g`)
	assert.Equal(t, "a", head)
	assert.Equal(t, map[string]string{"b": `c;d"e`, "f": ""}, params)
}

// FuzzEventHeader: what is read can be written and read again as the same.
func FuzzEventHeader(f *testing.F) {
	for _, seed := range []string{"refer", "refer;id=2", `refer ; ID = "2\"" ;x`, ";id=1", `refer;id="`, "refer;;id", `"0`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		ev, ok := parseEvent(value)
		if !ok {
			require.Empty(t, ev.name)
			return
		}
		if cseq, numeric := ev.cseq(); numeric {
			require.LessOrEqual(t, cseq, uint32(1<<32-1))
		}
		again, ok := parseEvent(ev.name + ";id=" + quoted(ev.id))
		require.True(t, ok)
		require.Equal(t, ev, again)
	})
}

// FuzzSubscriptionState: there always is a state, and what is read can be written and read again as the same.
func FuzzSubscriptionState(f *testing.F) {
	for _, seed := range []string{"active;expires=60", "Terminated;reason=noresource", "", " ; reason", `pending;reason="a;b`, `"00;reason`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		state := parseSubscriptionState(value)
		require.NotEmpty(t, state)
		require.NotContains(t, state, ";")
		require.Equal(t, state, parseSubscriptionState(state+" ; reason=noresource"))
	})
}

// quoted writes a quoted string (RFC 3261 section 25.1).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
