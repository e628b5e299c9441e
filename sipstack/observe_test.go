package sipstack

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSniff(t *testing.T) {
	for name, tc := range map[string]struct {
		raw     string
		want    Message
		initial bool
	}{
		"INVITE": {
			"INVITE sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\nTo: <sip:bob@x>\r\nCSeq: 7 INVITE\r\n\r\nv=0",
			Message{Method: "INVITE", CSeq: 7, SIPCallID: "1@x"}, true,
		},
		"re-INVITE in compact form": {
			"INVITE sip:bob@x SIP/2.0\r\ni: 1@x\r\nt: <sip:bob@x>;Tag=1\r\ncseq: 7 INVITE\r\n\r\n",
			Message{Method: "INVITE", CSeq: 7, SIPCallID: "1@x"}, false,
		},
		"response": {
			"SIP/2.0 503 Service Unavailable\r\nCall-ID: 1@x\r\nCSeq: 7 INVITE\r\nRetry-After: 5\r\n\r\n",
			Message{Method: "INVITE", Code: 503, Reason: "Service Unavailable", CSeq: 7, SIPCallID: "1@x", Summary: "Retry-After: 5"}, false,
		},
		"response without a phrase": {
			"SIP/2.0 200\r\nCall-ID: 1@x\r\nCSeq: 7 BYE\r\n\r\n",
			Message{Method: "BYE", Code: 200, CSeq: 7, SIPCallID: "1@x"}, false,
		},
		"REFER": {
			"REFER sip:bob@x SIP/2.0\r\nRefer-To: <sip:c@y>\r\nCall-ID: 1@x\r\nCSeq: 2 REFER\r\n\r\n",
			Message{Method: "REFER", CSeq: 2, SIPCallID: "1@x", Summary: "Refer-To: <sip:c@y>"}, false,
		},
		"NOTIFY": {
			"NOTIFY sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\nCSeq: 2 NOTIFY\r\nc: Message/Sipfrag;version=2.0\r\n\r\nSIP/2.0 100 Trying\r\nX: y\r\n",
			Message{Method: "NOTIFY", CSeq: 2, SIPCallID: "1@x", Summary: "SIP/2.0 100 Trying"}, false,
		},
		"bare line feeds": {
			"OPTIONS sip:bob@x SIP/2.0\nCall-ID: 1@x\nCSeq: x OPTIONS\n\n",
			Message{Method: "OPTIONS", SIPCallID: "1@x"}, false,
		},
		"a header field that looks like another where it goes on": {
			"OPTIONS sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\nSubject: a\r\n Call-ID: 2@x\r\nCSeq: 7\r\n OPTIONS\r\n\r\n",
			Message{Method: "OPTIONS", CSeq: 7, SIPCallID: "1@x"}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := sniff([]byte(tc.raw))
			require.True(t, ok)
			tc.want.Time, tc.want.Raw = m.Time, tc.raw
			assert.Equal(t, tc.want, m.Message)
			assert.Equal(t, tc.initial, m.initial)
		})
	}
	m, ok := sniff([]byte("\r\n\r\nBYE sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\n\r\n")) // RFC 3261 section 7.5
	assert.True(t, ok)
	assert.Equal(t, "1@x", m.SIPCallID)
	assert.Equal(t, "BYE sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\n\r\n", m.Raw)
	for _, raw := range []string{"", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\n\r\n", "SIP/2.0 abc def\r\n\r\n"} {
		_, ok := sniff([]byte(raw))
		assert.False(t, ok, raw)
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("NOTIFY sip:bob@x SIP/2.0\r\nCall-ID: 1@x\r\nCSeq: 2 NOTIFY\r\nc: message/sipfrag\r\n\r\nSIP/2.0 100 Trying\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\nTo: tag=\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, ok := sniff(raw)
		if ok {
			assert.Equal(t, strings.TrimLeft(string(raw), "\r\n"), m.Raw)
			assert.NotContains(t, m.Summary, "\n")
		}
	})
}

func frames(chunks ...string) (all []string, f *framer) {
	f = &framer{}
	for _, c := range chunks {
		f.write([]byte(c), func(raw []byte) { all = append(all, string(raw)) })
	}
	return all, f
}

func TestFramer(t *testing.T) {
	const (
		plain = "OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
		body  = "NOTIFY sip:x SIP/2.0\r\nContent-Length: 5\r\n\r\nhello"
		short = "NOTIFY sip:x SIP/2.0\r\nL : 4\r\n\r\n\r\n\r\n"
	)
	stream := "\r\n\r\n" + plain + body + "\r\n" + short + plain
	want := []string{plain, body, short, plain}
	got, _ := frames(stream)
	assert.Equal(t, want, got)
	for size := 1; size < 40; size++ {
		var chunks []string
		for rest := stream; rest != ""; {
			n := min(size, len(rest))
			chunks = append(chunks, rest[:n])
			rest = rest[n:]
		}
		got, _ := frames(chunks...)
		assert.Equal(t, want, got, "in chunks of %d", size)
	}
	for pings, between := range []string{"\r\n", "\r\n\r\n", "\r\n\r\n\x00\r\n\r\n\r\n"} {
		for size := 1; size < 8; size++ {
			var chunks []string
			for rest := plain + between + plain + "\r\n"; rest != ""; rest = rest[min(size, len(rest)):] {
				chunks = append(chunks, rest[:min(size, len(rest))])
			}
			got, f := frames(chunks...)
			assert.Equal(t, []string{plain, plain}, got)
			assert.Equal(t, pings, f.pings, "%q in chunks of %d", between, size)
		}
	}
	for name, bad := range map[string]string{
		"endless head": strings.Repeat("x", maxFrame+1),
		"too long":     "NOTIFY sip:x SIP/2.0\r\nContent-Length: 70000\r\n\r\n",
		"far too long": "NOTIFY sip:x SIP/2.0\r\nContent-Length: 2147483647\r\n\r\n",
	} {
		got, f := frames(bad, plain)
		assert.Empty(t, got, name)
		assert.True(t, f.lost, name)
		assert.Empty(t, f.buf, name)
	}
}

func FuzzFramer(f *testing.F) {
	f.Add([]byte("NOTIFY sip:x SIP/2.0\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		whole, w := frames(string(stream))
		n := min(int(cut), len(stream))
		parts, p := frames(string(stream[:n]), string(stream[n:]))
		assert.Equal(t, whole, parts)
		assert.Equal(t, w.pings, p.pings)
	})
}

var ours, theirs = net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:5060")), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.2:5060"))

func raw(start string, callID string, cseq int) []byte {
	return fmt.Appendf(nil, "%s\r\nCall-ID: %s\r\nTo: <sip:x>\r\nCSeq: %d INVITE\r\n\r\n", start, callID, cseq)
}

func TestTapHoldsMessagesUntilTheCallIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		tap := newTap(r)
		defer tap.close()
		const invite = "INVITE sip:x SIP/2.0"
		tap.message(true, "udp", addrText(ours), theirs, raw(invite, "1", 1))
		assert.True(t, tap.message(false, "udp", addrText(ours), theirs, raw("SIP/2.0 180 Ringing", "1", 1)))
		tap.message(true, "udp", addrText(ours), theirs, raw("BYE sip:x SIP/2.0", "2", 1))
		assert.Equal(t, []string{"> BYE"}, r.ladder(""), "of no call: told at once")
		tap.bind("1", "c-1")
		tap.message(true, "udp", addrText(ours), theirs, raw(invite, "1", 1))
		assert.Equal(t, []string{"> INVITE", "< 180 INVITE", "> INVITE"}, r.ladder("c-1"))
		assert.Equal(t, "127.0.0.1:5060", r.sip[1].Local)
		assert.Equal(t, "127.0.0.2:5060", r.sip[1].Remote)

		tap.ended("1", "c-1")
		time.Sleep(31 * time.Second) // fake
		tap.message(true, "udp", addrText(ours), theirs, raw("BYE sip:x SIP/2.0", "1", 2))
		assert.Len(t, r.ladder("c-1"), 4)
		time.Sleep(2 * time.Second) // fake
		synctest.Wait()
		tap.message(true, "udp", addrText(ours), theirs, raw("BYE sip:x SIP/2.0", "1", 3))
		assert.Len(t, r.ladder("c-1"), 4)
		assert.Empty(t, tap.threads)
	})
}

func TestTapForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		tap := newTap(r)
		for i := range 50 { // one that the parser refuses is never decided about
			tap.message(true, "udp", addrText(ours), theirs, raw("INVITE sip:x SIP/2.0", "1", i))
		}
		assert.Len(t, r.ladder(""), 50-maxHeld)
		time.Sleep(maxUndecided + time.Millisecond) // fake
		synctest.Wait()
		assert.Len(t, r.ladder(""), 50)
		assert.Zero(t, tap.held)
		time.Sleep(33 * time.Second) // fake
		synctest.Wait()
		assert.Empty(t, tap.threads)

		big := append(raw("INVITE sip:x SIP/2.0", "2", 1), make([]byte, maxHeldBytes/4)...)
		for range 6 {
			tap.message(true, "udp", addrText(ours), theirs, big)
		}
		assert.Len(t, r.ladder(""), 53)
		tap.close()
		assert.Len(t, r.ladder(""), 56)
		tap.message(true, "udp", addrText(ours), theirs, big)
		tap.bind("3", "c-3")
		assert.Empty(t, tap.threads)
	})
}

func TestTapKeepsTheOrderWhileItTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowObserver{recorder: &recorder{}}
		tap := newTap(slow)
		defer tap.close()
		for i := range 10 {
			tap.message(true, "udp", addrText(ours), theirs, raw("INVITE sip:x SIP/2.0", "1", i))
		}
		go tap.bind("1", "c-1")
		time.Sleep(time.Millisecond) // fake
		for i := 10; i < 20; i++ {
			tap.message(true, "udp", addrText(ours), theirs, raw("INVITE sip:x SIP/2.0", "1", i))
		}
		time.Sleep(time.Second) // fake
		synctest.Wait()
		require.Len(t, slow.sip, 20)
		for i, m := range slow.sip {
			assert.Equal(t, uint32(i), m.CSeq)
		}
	})
}

func TestNoTryingGoesOutBeforeTheINVITEIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		tap := newTap(r)
		defer tap.close()
		tap.message(true, "udp", addrText(ours), theirs, raw("INVITE sip:x SIP/2.0", "1", 1))
		assert.False(t, tap.message(false, "udp", addrText(ours), theirs, raw("SIP/2.0 100 Trying", "1", 1)))
		tap.bind("1", "c-1")
		assert.True(t, tap.message(false, "udp", addrText(ours), theirs, raw("SIP/2.0 100 Trying", "1", 1)))
		assert.Equal(t, []string{"> INVITE", "< 100 INVITE"}, r.ladder("c-1"))
	})
}

func TestWhatGoesOutWaitsUntilWhatCameBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowObserver{recorder: &recorder{}}
		tap := newTap(slow)
		defer tap.close()
		tap.bind("1", "c-1")
		var sent []string
		for i := range 5 {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // fake
				in := i%2 == 0
				assert.True(t, tap.message(in, "udp", addrText(ours), theirs, raw("NOTIFY sip:x SIP/2.0", "1", i)))
				slow.mu.Lock()
				defer slow.mu.Unlock()
				sent = append(sent, fmt.Sprint(i))
				assert.GreaterOrEqual(t, len(slow.sip), i+1, "it is told when it goes on")
			}()
		}
		time.Sleep(time.Second) // fake
		synctest.Wait()
		assert.Len(t, sent, 5)
	})
}

type slowObserver struct{ *recorder }

func (o *slowObserver) SIP(callID string, m Message) {
	time.Sleep(10 * time.Millisecond) // fake
	o.recorder.SIP(callID, m)
}
