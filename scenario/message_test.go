package scenario

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const notify = "NOTIFY sip:app@127.0.0.1:5060 SIP/2.0\r\n" +
	"v: SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z9hG4bK-1, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-0\r\n" +
	"From: \"A;tag=no\" <sip:a@127.0.0.1;tag=uri>;tag=peer\r\n" +
	"t: sip:app@127.0.0.1;tag=ours\r\n" +
	"Call-ID: abc\r\n" +
	"CSeq: 7 NOTIFY\r\n" +
	"o: refer\r\n" +
	" ;id=2\r\n" +
	"Route: <sip:one;lr>\r\nRoute: <sip:two;lr>\r\n" +
	"l: 16\r\n\r\n" +
	"SIP/2.0 200 OK\r\n"

func TestMessageReadsEveryForm(t *testing.T) {
	t.Parallel()
	m, err := ParseMessage([]byte(notify + "what follows the length is not the body's"))
	require.NoError(t, err)
	n, method := m.CSeq()
	assert.True(t, m.IsRequest())
	assert.Equal(t, "NOTIFY", m.Method())
	assert.Equal(t, "sip:app@127.0.0.1:5060", m.RequestURI())
	assert.Zero(t, m.Code())
	assert.Equal(t, uint32(7), n)
	assert.Equal(t, "NOTIFY", method)
	assert.Equal(t, "z9hG4bK-1", m.Branch())
	assert.Equal(t, "peer", m.Tag("From"))
	assert.Equal(t, "ours", m.Tag("To"))
	assert.Equal(t, "abc", m.CallID())
	assert.Equal(t, "refer ;id=2", m.Get("Event"), "compact and folded")
	assert.Equal(t, []string{"<sip:one;lr>", "<sip:two;lr>"}, m.All("route"))
	assert.Equal(t, "SIP/2.0 200 OK\r\n", string(m.Body))
}

func TestMessageResponse(t *testing.T) {
	t.Parallel()
	m, err := ParseMessage([]byte("SIP/2.0 486 Busy Here\nCSeq: 3 REFER\n\nno length: all of it"))
	require.NoError(t, err)
	assert.False(t, m.IsRequest())
	assert.Equal(t, 486, m.Code())
	assert.Equal(t, "REFER", m.Method())
	assert.Equal(t, "no length: all of it", string(m.Body))
}

func TestMessageIsWrittenAsItIs(t *testing.T) {
	t.Parallel()
	m := &Message{Start: "BYE sip:a SIP/2.0", Body: []byte("hi")}
	m.Add("X-One", "1").Set("x-one", "2").Add("X-Two", "").With(Header{"X-Three", "a"}, Header{"X-Three", "b"})
	assert.Equal(t, "BYE sip:a SIP/2.0\r\nX-One: 2\r\nX-Two: \r\nX-Three: a\r\nX-Three: b\r\nContent-Length: 2\r\n\r\nhi", m.String())
	m.Set("Content-Length", "99")
	assert.Contains(t, m.String(), "Content-Length: 99\r\n", "a wrong length stays wrong")
	assert.False(t, m.Del("X-Three").Has("x-three"))
	again := m.Clone()
	again.Set("X-One", "3")
	assert.Equal(t, "2", m.Get("X-One"))
}

func TestMessageRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":           "",
		"one word":          "BYE\r\n\r\n",
		"no empty line":     "BYE sip:a SIP/2.0\r\nX: 1\r\n",
		"no colon":          "BYE sip:a SIP/2.0\r\nX\r\n\r\n",
		"no name":           "BYE sip:a SIP/2.0\r\n: 1\r\n\r\n",
		"length no number":  "BYE sip:a SIP/2.0\r\nl: x\r\n\r\n",
		"length negative":   "BYE sip:a SIP/2.0\r\nl: -1\r\n\r\n",
		"body cut off":      "BYE sip:a SIP/2.0\r\nl: 5\r\n\r\nabc",
		"length too large":  "BYE sip:a SIP/2.0\r\nl: 4000000000\r\n\r\nabc",
		"starts with space": " BYE sip:a SIP/2.0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseMessage([]byte(text))
			require.Error(t, err)
		})
	}
}

func TestReadMessageFramesAStream(t *testing.T) {
	t.Parallel()
	r := bufio.NewReader(strings.NewReader("\r\n\r\n" + notify + "BYE sip:a SIP/2.0\r\n\r\nOPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"))
	for _, want := range []string{"NOTIFY", "BYE", "OPTIONS"} {
		m, err := ReadMessage(r)
		require.NoError(t, err)
		assert.Equal(t, want, m.Method())
	}
	_, err := ReadMessage(r)
	require.ErrorIs(t, err, io.EOF)
	_, err = ReadMessage(bufio.NewReader(strings.NewReader("BYE si")))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// What can be read can be written and is then read as the same.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(notify))
	f.Add([]byte("SIP/2.0 200 OK\n\nbody"))
	f.Add([]byte("\r\n\r\nBYE sip:a SIP/2.0\r\nX:\r\n y\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMessage(data)
		if err != nil {
			return
		}
		m.Code()
		m.RequestURI()
		m.Tag("From")
		m.Branch()
		again, err := ParseMessage(m.Bytes())
		require.NoError(t, err)
		if !m.Has("Content-Length") {
			again.Del("Content-Length")
		}
		require.Equal(t, m.Start, again.Start)
		require.Equal(t, m.Headers, again.Headers)
		require.Equal(t, string(m.Body), string(again.Body))
	})
}
