package sipstack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSipfrag(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body   string
		code   int
		reason string
	}{
		"as in RFC 3515":           {"SIP/2.0 100 Trying\r\n", 100, "Trying"},
		"no closing CRLF":          {"SIP/2.0 200 OK", 200, "OK"},
		"LF only":                  {"SIP/2.0 486 Busy Here\n", 486, "Busy Here"},
		"CR only":                  {"SIP/2.0 603 Decline\rContact: x\r", 603, "Decline"},
		"two ends of line":         {"SIP/2.0 200 OK\r\n\r\n", 200, "OK"},
		"lower case":               {"sip/2.0 200 ok\r\n", 200, "ok"},
		"mixed case":               {"Sip/2.0 404 Not Found", 404, "Not Found"},
		"no reason phrase":         {"SIP/2.0 200\r\n", 200, ""},
		"a space for a reason":     {"SIP/2.0 200 \r\n", 200, ""},
		"blank lines before it":    {"\r\n\n  \r\nSIP/2.0 200 OK\r\n", 200, "OK"},
		"spaces before it":         {"  SIP/2.0 200 OK\r\n", 200, "OK"},
		"spaces and tabs in it":    {"SIP/2.0 \t 503   Service Unavailable\r\n", 503, "Service Unavailable"},
		"header lines after it":    {"SIP/2.0 603 Declined\r\nTo: <sip:a@b>;tag=1\r\nContact: <sip:c@d>\r\n\r\n", 603, "Declined"},
		"compact header lines":     {"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP h\r\nt: x\r\ni: 1\r\nm: <sip:c@d>\r\nl: 0\r\n", 180, "Ringing"},
		"broken header lines":      {"SIP/2.0 200 OK\r\nno colon here\r\n: none\r\n", 200, "OK"},
		"a second status line":     {"SIP/2.0 100 Trying\r\nSIP/2.0 200 OK\r\n", 100, "Trying"},
		"a body after the headers": {"SIP/2.0 200 OK\r\nc: application/sdp\r\n\r\nv=0\r\n", 200, "OK"},
		"UTF-8 in the reason":      {"SIP/2.0 480 Nicht verfügbar\r\n", 480, "Nicht verfügbar"},
		"the lowest code":          {"SIP/2.0 100 x", 100, "x"},
		"the highest code":         {"SIP/2.0 699 x", 699, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, reason, err := parseSipfrag([]byte(tc.body))
			require.NoError(t, err)
			assert.Equal(t, tc.code, code)
			assert.Equal(t, tc.reason, reason)
		})
	}
}

func TestSipfragWithoutAStatusLine(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":             "",
		"blank":               " \r\n\r\n",
		"something else":      "hello",
		"a request":           "INVITE sip:a@b SIP/2.0\r\n",
		"headers only":        "To: <sip:a@b>\r\nFrom: <sip:c@d>\r\n",
		"a status line later": "To: <sip:a@b>\r\nSIP/2.0 200 OK\r\n",
		"no code":             "SIP/2.0\r\n",
		"no code, a space":    "SIP/2.0 \r\n",
		"a word for a code":   "SIP/2.0 OK 200\r\n",
		"a short code":        "SIP/2.0 20 OK\r\n",
		"a long code":         "SIP/2.0 2000 OK\r\n",
		"a signed code":       "SIP/2.0 +20 OK\r\n",
		"too low a code":      "SIP/2.0 099 x\r\n",
		"too high a code":     "SIP/2.0 700 x\r\n",
		"another version":     "SIP/3.0 200 OK\r\n",
		"another protocol":    "HTTP/1.1 200 OK\r\n",
		"no space":            "SIP/2.0200 OK\r\n",
		"other digits":        "SIP/2.0 ２００ OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := parseSipfrag([]byte(body))
			require.ErrorIs(t, err, errNoStatusLine)
		})
	}
}

// FuzzSipfrag: what is read can be written as a status line, and read again as the same.
func FuzzSipfrag(f *testing.F) {
	for _, seed := range []string{
		"SIP/2.0 200 OK\r\n", "sip/2.0 486 Busy", "\r\nSIP/2.0 100\n", "SIP/2.0 603 No\r\nv: x\r\n\r\n", "To: x\r\n", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		code, reason, err := parseSipfrag(body)
		if err != nil {
			require.ErrorIs(t, err, errNoStatusLine)
			return
		}
		require.True(t, code >= 100 && code <= 699)
		require.False(t, strings.ContainsAny(reason, "\r\n"), "a reason is one line")
		again, sameReason, err := parseSipfrag(fmt.Appendf(nil, "SIP/2.0 %d %s\r\nContact: x\r\n", code, reason))
		require.NoError(t, err)
		require.Equal(t, code, again)
		require.Equal(t, reason, sameReason)
	})
}
