package node_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// verdict is what an RFC says of a message, and what a node answers.
type verdict struct {
	Name, Section, RFC, Answer, Header, Over, Why string

	Again  string // the answer over TCP
	Closed bool   // the connection ends then
}

const torture = "../testdata/torture"

func verdicts(t *testing.T) map[string][]verdict {
	t.Helper()
	data, err := os.ReadFile(torture + "/verdicts.yaml")
	require.NoError(t, err)
	all := map[string][]verdict{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&all))
	return all
}

// nameless is the host's network without any name: what the messages say of where to answer leads nowhere. Without rport
// an answer goes to the port that the Via names; here it comes to where the phone is, whatever its port.
type nameless struct {
	scenario.System
	phones *sync.Map // ports by IP address
}

type forwarding struct {
	net.PacketConn
	phones *sync.Map
}

func (n nameless) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	conn, err := n.System.ListenPacket(ctx, network, address)
	return forwarding{conn, n.phones}, err
}

func (f forwarding) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return f.PacketConn.WriteTo(b, to)
	}
	if port, known := f.phones.Load(u.IP.String()); known {
		to = &net.UDPAddr{IP: u.IP, Port: port.(int)}
	}
	return f.PacketConn.WriteTo(b, to)
}

var errNameless = errors.New("no such host")

func (nameless) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errNameless
}

func (nameless) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errNameless
}

// message is one of the corpus.
type message struct {
	verdict
	rfc string
	raw []byte
}

// rounds are the messages, those with the same branch and sent-by in different rounds: in one they would be the same
// transaction (RFC 3261 section 17.2.3).
func rounds(t *testing.T) (all [][]message) {
	t.Helper()
	used := map[string]int{}
	for rfc, list := range verdicts(t) {
		files, err := filepath.Glob(torture + "/" + rfc + "/*.dat")
		require.NoError(t, err)
		require.Len(t, list, len(files), "%s: a verdict for each message", rfc)
		for _, v := range list {
			raw, err := os.ReadFile(torture + "/" + rfc + "/" + v.Name + ".dat")
			require.NoError(t, err)
			via := header1(string(raw), "Via", "v")
			if used[via] == len(all) {
				all = append(all, nil)
			}
			all[used[via]] = append(all[used[via]], message{v, rfc, raw})
			used[via]++
		}
	}
	return all
}

func TestTorture(t *testing.T) {
	for i, messages := range rounds(t) {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			phones := &sync.Map{}
			l := onLoopback(t, nil, node.WithNetwork(nameless{phones: phones}))
			l.app.On("initiate", scenario.BXML(response(`<Pause duration="60"/>`)))
			for _, m := range messages {
				over := cmp.Or(m.Over, "udp")
				t.Run(m.rfc+"/"+m.Name, func(t *testing.T) { l.tortured(t, phones, over, m.raw, m.Answer, m.Header, false) })
				if m.Again != "" {
					t.Run(m.rfc+"/"+m.Name+"/tcp", func(t *testing.T) { l.tortured(t, phones, "tcp", m.raw, m.Again, m.Header, m.Closed) })
				}
			}
		})
	}
}

// tortured sends a message, checks the answer, and that whoever sent it can ask something else then.
func (l *live) tortured(t *testing.T, phones *sync.Map, over string, raw []byte, answer, header string, closed bool) {
	w := newWire(t, over, l.address(over), phones)
	w.send(raw)
	if answer != "none" {
		res := w.final()
		require.Equal(t, answer, strings.Fields(res)[1], res)
		if header != "" {
			assert.Contains(t, res, "\r\n"+header)
		}
		w.echoes(string(raw), res)
		if answer == "200" && strings.Contains(header1(res, "CSeq"), "INVITE") {
			w.send(w.inDialog("ACK", 0, res))
			w.send(w.inDialog("BYE", 1, res))
			res = w.final()
			require.True(t, strings.HasPrefix(res, "SIP/2.0 200 ") && strings.HasSuffix(header1(res, "CSeq"), "BYE"), res)
		}
	}
	if closed {
		_, err := w.r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		w = newWire(t, over, l.address(over), phones)
	}
	w.asks()
	l.goodCall(over)
}

// wire is a socket that anything can be sent on.
type wire struct {
	t     *testing.T
	over  string
	conn  net.Conn
	r     *bufio.Reader // of a stream
	asked string        // Call-ID of the options
}

var wires atomic.Int32

// newWire opens a socket. One of UDP has an address of its own, and is found there in phones.
func newWire(t *testing.T, over, to string, phones *sync.Map) *wire {
	t.Helper()
	dialer := net.Dialer{}
	if over == "udp" {
		dialer.LocalAddr = &net.UDPAddr{IP: net.IPv4(127, 77, byte(wires.Add(1)>>8), byte(wires.Load()))}
	}
	conn, err := dialer.DialContext(t.Context(), over, to)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // of one that is closed: an error that means nothing
	if at, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		phones.Store(at.IP.String(), at.Port)
	}
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(answerTime)))
	return &wire{t: t, over: over, conn: conn, r: bufio.NewReaderSize(conn, 1<<16)}
}

func (w *wire) send(raw []byte) {
	w.t.Helper()
	_, err := w.conn.Write(raw)
	require.NoError(w.t, err)
}

// next returns what comes next.
func (w *wire) next() string {
	w.t.Helper()
	if w.over == "udp" {
		b := make([]byte, 1<<16)
		n, err := w.conn.Read(b)
		require.NoError(w.t, err)
		return string(b[:n])
	}
	var head strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		require.NoError(w.t, err, head.String())
		head.WriteString(line)
		if line == "\r\n" {
			break
		}
	}
	n, err := strconv.Atoi(header1(head.String(), "Content-Length"))
	require.NoError(w.t, err)
	body := make([]byte, n)
	_, err = io.ReadFull(w.r, body)
	require.NoError(w.t, err)
	return head.String() + string(body)
}

// final returns the next final response.
func (w *wire) final() string {
	w.t.Helper()
	for {
		res := w.next()
		require.True(w.t, strings.HasPrefix(res, "SIP/2.0 "), res)
		if res[8] != '1' {
			return res
		}
	}
}

// echoes checks that a response can be matched with its request: it has that one's CSeq and Call-ID, and the topmost Via's
// branch.
func (w *wire) echoes(req, res string) {
	w.t.Helper()
	req = regexp.MustCompile(`\r\n[ \t]+`).ReplaceAllString(req, " ")
	if id := header1(req, "Call-ID", "i"); id != "" {
		assert.Equal(w.t, id, header1(res, "Call-ID"))
	}
	assert.Equal(w.t, strings.TrimLeft(strings.Join(strings.Fields(header1(req, "CSeq")), " "), "0"), strings.TrimLeft(header1(res, "CSeq"), "0"))
	if _, branch, ok := strings.Cut(header1(req, "Via", "v"), "branch="); ok {
		branch, _, _ = strings.Cut(strings.Fields(branch)[0], ";")
		assert.Contains(w.t, header1(res, "Via"), "branch="+branch)
	}
	if req1, _, _ := strings.Cut(req, "\r\n"); !strings.HasPrefix(req1, "INVITE") || !strings.HasPrefix(res, "SIP/2.0 1") {
		if to := header1(res, "To"); to != "" {
			assert.Contains(w.t, to, "tag=")
		}
	}
	assert.NotContains(w.t, strings.ReplaceAll(res, "\r\n", ""), "\n")
}

// header1 returns the first field of one of these names.
func header1(msg string, names ...string) string {
	head, _, _ := strings.Cut(msg, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		label, value, _ := strings.Cut(line, ":")
		for _, name := range names {
			if strings.EqualFold(strings.TrimSpace(label), name) {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}

// inDialog is a request in the dialog of a 200.
func (w *wire) inDialog(method string, later int, res string) []byte {
	number, err := strconv.Atoi(strings.Fields(header1(res, "CSeq"))[0])
	require.NoError(w.t, err)
	return fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK%d\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Content-Length: 0\r\n\r\n", method, strings.Trim(header1(res, "Contact"), "<>"), strings.ToUpper(w.over), w.conn.LocalAddr(), wires.Add(1),
		header1(res, "From"), header1(res, "To"), header1(res, "Call-ID"), number+later, method)
}

// asks sends an OPTIONS, to which nothing but its answer may come.
func (w *wire) asks() {
	w.t.Helper()
	w.send(w.options())
	res := w.next()
	require.True(w.t, strings.HasPrefix(res, "SIP/2.0 200 ") && strings.Contains(res, w.asked), res)
}

func (w *wire) options() []byte {
	w.asked = fmt.Sprintf("asked-%d", time.Now().UnixNano())
	return fmt.Appendf(nil, "OPTIONS sip:node SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK%s\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:node>\r\nCall-ID: %s\r\n"+
		"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", strings.ToUpper(w.over), w.conn.LocalAddr(), w.asked, w.asked)
}

// answerTime is how long an answer may take.
const answerTime = 2 * time.Second
