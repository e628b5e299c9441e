package node_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// messages are whole and right, until a test breaks them. %[1]s is the node, %[2]s the sender, %[3]d a number.
var messages = []string{
	"INVITE sip:desk@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK-%[3]d;rport\r\nMax-Forwards: 70\r\nFrom: \"A\" <sip:a@%[2]s>;tag=%[3]d\r\n" +
		"To: <sip:desk@%[1]s>\r\nCall-ID: hostile-%[3]d\r\nCSeq: 1 INVITE\r\nContact: <sip:a@%[2]s>\r\nRecord-Route: <sip:%[2]s;lr>\r\nContent-Type: application/sdp\r\n" +
		"Content-Length: 127\r\n\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
	"NOTIFY sip:desk@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK-%[3]d\r\nMax-Forwards: 70\r\nFrom: <sip:a@%[2]s>;tag=%[3]d\r\nTo: <sip:desk@%[1]s>;tag=x\r\n" +
		"Call-ID: hostile-%[3]d\r\nCSeq: 2 NOTIFY\r\nEvent: refer;id=1\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n" +
		"Content-Length: 16\r\n\r\nSIP/2.0 200 OK\r\n",
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %[1]s;branch=z9hG4bK-%[3]d\r\nFrom: <sip:desk@%[1]s>;tag=y\r\nTo: <sip:a@%[2]s>;tag=%[3]d\r\nCall-ID: hostile-%[3]d\r\n" +
		"CSeq: 1 REFER\r\nContent-Length: 0\r\n\r\n",
	"OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK-%[3]d\r\nFrom: <sip:a@%[2]s>;tag=%[3]d\r\nTo: <sip:%[1]s>\r\nCall-ID: hostile-%[3]d\r\n" +
		"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
	"CANCEL sip:desk@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK-%[3]d;rport\r\nFrom: \"A\" <sip:a@%[2]s>;tag=%[3]d\r\nTo: <sip:desk@%[1]s>\r\n" +
		"Call-ID: hostile-%[3]d\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n",
}

// mutated breaks a message somewhere, or in a few places. What it returns depends on the source of chance alone.
func mutated(r *rand.Rand, node, sender string) []byte {
	m := fmt.Appendf(nil, messages[r.IntN(len(messages))], node, sender, r.IntN(1000))
	for range 1 + r.IntN(4) {
		at := r.IntN(len(m))
		switch r.IntN(7) {
		case 0:
			m[at] = byte(r.Uint32())
		case 1:
			m = m[:at+1]
		case 2:
			m = append(m[:at:at], m[min(len(m), at+1+r.IntN(20)):]...)
		case 3:
			m = append(m[:at:at], append(bytes.Repeat([]byte{m[at]}, 1+r.IntN(300)), m[at:]...)...)
		case 4:
			m = bytes.Replace(m, []byte("\r\n"), []byte("\n"), 1+r.IntN(5))
		case 5:
			lines := bytes.SplitAfter(m, []byte("\r\n"))
			i, j := r.IntN(len(lines)), r.IntN(len(lines))
			lines[i], lines[j] = lines[j], lines[i]
			m = bytes.Join(lines, nil)
		case 6:
			m = bytes.Replace(m, []byte("Content-Length: "), []byte("Content-Length: 9"), 1)
		}
		if len(m) == 0 {
			return []byte{0}
		}
	}
	return m
}

func noise(r *rand.Rand) []byte {
	b := make([]byte, 1+r.IntN(1400))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestBrokenPacketsHurtNoCall(t *testing.T) {
	l := onLoopback(t, nil)
	l.app.On("initiate", scenario.BXML(response(`<Hangup/>`)))
	conn := dial(t, "udp", l.address("udp"))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		b := noise(r)
		if i%5 > 0 {
			b = mutated(r, l.address("udp"), conn.LocalAddr().String())
		}
		_, err := conn.Write(b)
		require.NoError(t, err)
		if i%50 == 0 { // none of them is lost because the node is slow to take it
			l.options("udp")
		}
	}
	l.goodCall("udp")
	l.goodCall("tcp")
	assert.Greater(t, len(l.app.EventsOf("initiate")), 50, "some were whole enough to be calls")
}

// dial opens a socket that is closed with the test.
func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // of one that is closed: an error that means nothing
	return conn
}

// options asks the node whether it is there, and waits for its answer.
func (l *live) options(transport string) {
	l.t.Helper()
	phone := scenario.NewScript(l.t, scenario.System{}, patience).Phone(scenario.PhoneConfig{Address: "127.0.0.1:0", Transport: transport})
	phone.Send(l.address(transport), outOfDialog(phone, "OPTIONS", "sip:"+l.address(transport)))
	phone.Expect("200 OPTIONS")
	require.NoError(l.t, phone.Close())
}

func TestBrokenStreamsHurtNoCall(t *testing.T) {
	l := onLoopback(t, nil)
	l.app.On("initiate", scenario.BXML(response(`<Hangup/>`)))
	at := l.address("tcp")
	whole := func(i int) string { return fmt.Sprintf(messages[i], at, "127.0.0.1:9", i) }
	send := func(parts ...string) net.Conn {
		conn := dial(t, "tcp", at)
		for _, p := range parts {
			if _, err := io.WriteString(conn, p); err != nil {
				break // the node has closed it
			}
		}
		return conn
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		b := mutated(r, at, "127.0.0.1:9")
		if r.IntN(5) == 0 {
			b = noise(r)
		}
		conn := send(string(b))
		if r.IntN(2) == 0 {
			require.NoError(t, conn.Close())
		}
	}
	for name, parts := range map[string][]string{
		"half a message, and no more":          {whole(0)[:200]},
		"a body that never comes":              {strings.Replace(whole(1), "Length: 16", "Length: 60000", 1)},
		"a body longer than it says":           {strings.Replace(whole(1), "Length: 16", "Length: 3", 1), whole(3)},
		"a length below zero":                  {strings.Replace(whole(1), "Length: 16", "Length: -16", 1)},
		"a length above all bounds":            {strings.Replace(whole(1), "Length: 16", "Length: 99999999999999999999", 1)},
		"a length of a gigabyte":               {strings.Replace(whole(1), "Length: 16", "Length: 1073741824", 1), strings.Repeat("x", 1<<20)},
		"two lengths":                          {strings.Replace(whole(1), "Event:", "Content-Length: 0\r\nEvent:", 1)},
		"a header without an end":              {"OPTIONS sip:a SIP/2.0\r\nVia: ", strings.Repeat("x", 8<<20)},
		"headers without an end":               {"OPTIONS sip:a SIP/2.0\r\n", strings.Repeat("X-Y: z\r\n", 1<<20)},
		"line ends without an end":             {strings.Repeat("\r\n", 1<<20)},
		"nothing but zeros":                    {strings.Repeat("\x00", 1<<20)},
		"another protocol":                     {"GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"the beginning of a TLS handshake":     {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("a", 512)},
		"a call, and the connection is closed": {whole(0)},
	} {
		conn := send(parts...)
		if strings.Contains(name, "closed") {
			l.app.Expect("initiate")
			require.NoError(t, conn.Close())
		}
	}
	l.goodCall("tcp")
	l.goodCall("udp")
}

// A transport that kept something for every address it ever heard from would not get far in the open.
func TestTenThousandSourcesHurtNoCall(t *testing.T) {
	l := onLoopback(t, nil)
	to, err := netip.ParseAddrPort(l.address("udp"))
	require.NoError(t, err)
	for i := range 10_000 {
		from := &net.UDPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}
		conn, err := net.DialUDP("udp4", from, net.UDPAddrFromAddrPort(to))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, messages[3], to, conn.LocalAddr(), i)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		if i%100 == 0 {
			l.options("udp")
		}
	}
	l.goodCall("udp")
}

func TestBrokenDocumentsEndTheirCallAlone(t *testing.T) {
	l := onLoopback(t, nil)
	files, err := filepath.Glob("../testdata/bxml/bad/*.bxml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	documents := map[string]string{
		"no XML":           string(noise(rand.New(rand.NewPCG(5, 6)))),
		"deep":             strings.Repeat("<Response>", 5000),
		"long":             response(strings.Repeat(" ", 70_000)),
		"many attributes":  "<Response " + strings.Repeat("a='' ", 10_000) + "/>",
		"many verbs":       response(strings.Repeat("<Nothing/>", 5000)),
		"quadratic blowup": `<!DOCTYPE x [<!ENTITY a "` + strings.Repeat("a", 30_000) + `">]><Response>` + strings.Repeat("&a;", 5000) + `</Response>`,
		"zeros":            response("\x00\x00"),
	}
	for _, name := range files {
		if strings.HasSuffix(name, "-document.bxml") {
			continue // wrong for another call than this one
		}
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		documents[filepath.Base(name)] = string(data)
	}
	for name, document := range documents {
		l.app.On("initiate", scenario.BXML(document))
		l.phones["udp"].Invite(scenario.Invite{To: "sip:desk@" + l.address("udp")}).Rejected(500)
		e := l.app.Expect("disconnect")
		assert.Equal(t, "invalid-bxml", e.Text("cause"), name)
		assert.NotEmpty(t, e.Text("errorMessage"), name)
		assert.Less(t, len(e.Text("errorMessage")), 4096, name)
	}
	l.goodCall("udp")
}

// A server may answer as it likes: the call ends, when callback_timeout is over at the latest, and a denied address is never
// connected to.
func TestHostileApplicationsEndTheirCallAlone(t *testing.T) {
	denied := deniedServer(t)
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return // the node is gone
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, answer)
		}
	}
	endless := func(first, more string, every time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for _, err := io.WriteString(w, first); err == nil; _, err = io.WriteString(w, more) {
				w.(http.Flusher).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}
	}
	behaviours := map[string]struct {
		handler http.HandlerFunc
		cause   string
	}{
		"endless":         {endless("<Response>", strings.Repeat("<Pause/>", 1000), time.Millisecond), "invalid-bxml"},
		"slow":            {endless("<Response>", " ", 20*time.Millisecond), "callback-error"},
		"silent":          {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "callback-error"},
		"dropping":        {raw(""), "callback-error"},
		"speaking":        {raw("hello, I am no web server\r\n"), "callback-error"},
		"cut":             {raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<Response/>"), "callback-error"},
		"wordy":           {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n"), "callback-error"},
		"promising":       {raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 1<<16)), "callback-error"},
		"lengthy":         {raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n<Response/>"), "callback-error"},
		"chunked":         {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n<Response/>"), "callback-error"},
		"turning":         {http.RedirectHandler("/turning", http.StatusFound).ServeHTTP, "callback-error"},
		"sending away":    {http.RedirectHandler(denied, http.StatusTemporaryRedirect).ServeHTTP, "callback-error"},
		"sending to file": {http.RedirectHandler("file:///etc/passwd", http.StatusTemporaryRedirect).ServeHTTP, "callback-error"},
		"sending nowhere": {http.RedirectHandler("http://%zz", http.StatusTemporaryRedirect).ServeHTTP, "callback-error"},
		"bombing":         {bomb(t), "invalid-bxml"},
		"failing":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "callback-error"},
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	l := onLoopback(t, func(cfg *node.Config) {
		cfg.Webhook.DenyCIDRs = []netip.Prefix{netip.MustParsePrefix("127.66.0.0/16")}
		good := cfg.Applications[0]
		for name, b := range behaviours {
			path := "/" + strings.ReplaceAll(name, " ", "-")
			mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil { // before that the server does not see that the node has gone
					b.handler(w, r)
				}
			})
			hostile := good
			hostile.ID, hostile.Match = name, []string{path[1:]}
			if name == "slow" || name == "silent" { // what the others do is seen at once, or as soon as a busy machine comes to it
				hostile.CallbackTimeout = time.Second
			}
			hostile.CallInitiatedCallbackURL = server.URL + path
			cfg.Applications = slices.Insert(cfg.Applications, 0, hostile)
		}
	})
	calls := map[string]*scenario.ScriptedCall{}
	for name := range behaviours {
		calls[name] = l.phones["udp"].Invite(scenario.Invite{To: "sip:" + strings.ReplaceAll(name, " ", "-") + "@" + l.address("udp")})
	}
	l.goodCall("udp")
	for _, c := range calls {
		c.Rejected(500)
	}
	for range len(calls) + 1 { // the good one, too
		e := l.app.Expect("disconnect")
		want, hostile := behaviours[e.Text("applicationId")]
		if !hostile {
			want.cause = "hangup"
		}
		assert.Equal(t, want.cause, e.Text("cause"), "%s: %s", e.Text("applicationId"), e)
		assert.Equal(t, hostile, e.Has("errorMessage"), e.String())
	}
}

// deniedServer listens where no webhook may go, and fails the test when one comes.
func deniedServer(t *testing.T) (url string) {
	t.Helper()
	l, err := scenario.System{}.Listen(t.Context(), "tcp", "127.66.66.66:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if conn, err := l.Accept(); err == nil {
			assert.Fail(t, "a denied address was connected to")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-ended
	})
	return "http://" + l.Addr().String() + "/"
}

// bomb answers with a few kilobytes that are twenty megabytes unpacked.
func bomb(t *testing.T) http.HandlerFunc {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for range 20 {
		_, err := w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
}
