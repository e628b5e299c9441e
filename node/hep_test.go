package node_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copied is a packet as a HEP collector got it. It reads what it needs, from the protocol's description.
type copied struct {
	from, to         netip.AddrPort
	at               time.Time
	transport, kind  byte
	id               uint32
	password, callID string
	payload          string
}

// homer is a HEP collector at 10.0.0.9:9060, over TCP.
type homer struct {
	mu    sync.Mutex
	got   []copied
	conns []net.Conn
}

func newHomer(t *testing.T, n *scenario.Memory) *homer {
	t.Helper()
	l, err := n.Listen(t.Context(), "tcp", "10.0.0.9:9060")
	require.NoError(t, err)
	h := &homer{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, conn)
			h.mu.Unlock()
			serving.Go(func() { h.read(t, conn) })
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		h.mu.Lock()
		for _, conn := range h.conns {
			_ = conn.Close() // the node may have done it
		}
		h.mu.Unlock()
		serving.Wait()
	})
	return h
}

func (h *homer) read(t *testing.T, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		head := make([]byte, 6)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, int(binary.BigEndian.Uint16(head[4:]))-6)
		if _, err := io.ReadFull(conn, body); !assert.NoError(t, err) || !assert.Equal(t, "HEP3", string(head[:4])) {
			return
		}
		c := copied{}
		var seconds, micros uint32
		for len(body) > 0 {
			length := int(binary.BigEndian.Uint16(body[4:]))
			value := body[6:length]
			switch binary.BigEndian.Uint16(body[2:]) {
			case 2:
				c.transport = value[0]
			case 3:
				c.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(value)), 0)
			case 4:
				c.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(value)), 0)
			case 7:
				c.from = netip.AddrPortFrom(c.from.Addr(), binary.BigEndian.Uint16(value))
			case 8:
				c.to = netip.AddrPortFrom(c.to.Addr(), binary.BigEndian.Uint16(value))
			case 9:
				seconds = binary.BigEndian.Uint32(value)
			case 10:
				micros = binary.BigEndian.Uint32(value)
			case 11:
				c.kind = value[0]
			case 12:
				c.id = binary.BigEndian.Uint32(value)
			case 14:
				c.password = string(value)
			case 15:
				c.payload = string(value)
			case 17:
				c.callID = string(value)
			}
			body = body[length:]
		}
		c.at = time.Unix(int64(seconds), int64(micros)*1000)
		h.mu.Lock()
		h.got = append(h.got, c)
		h.mu.Unlock()
	}
}

// all returns the packets so far, of a protocol and a Call-ID.
func (h *homer) all(kind byte, callID string) (all []copied) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.got {
		if c.kind == kind && c.callID == callID {
			all = append(all, c)
		}
	}
	return all
}

const (
	kindSIP  = 1
	kindRTCP = 5
)

func toHomer(cfg *node.Config) {
	cfg.HEP = node.HEPConfig{Address: "10.0.0.9:9060", Transport: "tcp", CaptureID: 77, Password: "homer"}
}

func TestACallIsCopiedToACollector(t *testing.T) {
	inBubble(t, func(cfg *node.Config) {
		toHomer(cfg)
		cfg.SIP.Credentials = []node.SIPCredential{{Realm: "pbx", Username: "u", Password: "s3cret"}}
	}, func(t *testing.T, b *bubble) {
		h := newHomer(t, b.net)
		b.app.On("initiate", scenario.BXML(response(`<Refer><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`)))
		began := time.Now()
		c := b.phone.Call(b.uri("desk"))
		c.ExpectRefer().Challenge(scenario.Challenge{Realm: "pbx", Nonce: "n"})
		refer := c.ExpectRefer()
		require.True(t, refer.Request.Has("Authorization") || refer.Request.Has("Proxy-Authorization"), "the phone got the real ones")
		refer.Reply(202)
		time.Sleep(7 * time.Second) // reports go out
		refer.Notify("SIP/2.0 200 OK")
		c.Expect("BYE")
		b.disconnect("hangup", "")
		synctest.Wait()

		phone, ours := b.phone.Addr(), netip.MustParseAddrPort("10.0.0.1:5060")
		sip := h.all(kindSIP, c.ID())
		var lines []string
		for _, m := range sip {
			line, _, _ := strings.Cut(m.payload, "\r\n")
			lines = append(lines, line)
			in := m.from == phone
			want := [2]netip.AddrPort{ours, phone}
			if in {
				want = [2]netip.AddrPort{phone, ours}
			}
			assert.Equal(t, want, [2]netip.AddrPort{m.from, m.to}, line)
			assert.Equal(t, byte(17), m.transport)
			assert.Equal(t, uint32(77), m.id)
			assert.Equal(t, "homer", m.password)
			assert.NotContains(t, m.payload, "response=", "credentials are masked")
			assert.NotContains(t, m.payload, "s3cret")
		}
		assert.Equal(t, []string{
			"INVITE " + b.uri("desk") + " SIP/2.0", "SIP/2.0 100 Trying", "SIP/2.0 200 OK",
			"ACK sip:desk@10.0.0.1:5060 SIP/2.0", "REFER " + b.phone.URI() + " SIP/2.0", "SIP/2.0 401 Unauthorized",
			"REFER " + b.phone.URI() + " SIP/2.0", "SIP/2.0 202 Accepted", "NOTIFY sip:desk@10.0.0.1:5060 SIP/2.0", "SIP/2.0 200 OK",
			"BYE " + b.phone.URI() + " SIP/2.0", "SIP/2.0 200 OK",
		}, lines)
		assert.WithinDuration(t, began, sip[0].at, time.Millisecond)
		assert.WithinDuration(t, began.Add(7*time.Second), sip[len(sip)-1].at, time.Millisecond)
		assert.Contains(t, sip[6].payload, "uthorization: ***")

		reports := h.all(kindRTCP, c.ID())
		require.NotEmpty(t, reports)
		var report struct {
			Type   int `json:"type"`
			Sender struct {
				Packets int `json:"packets"`
			} `json:"sender_information"`
		}
		require.NoError(t, json.Unmarshal([]byte(reports[0].payload), &report))
		assert.Equal(t, 200, report.Type)
		assert.Positive(t, report.Sender.Packets)
		assert.Equal(t, ours.Addr(), reports[0].from.Addr())
		assert.Equal(t, phone.Addr(), reports[0].to.Addr())
		assert.Equal(t, uint16(1), reports[0].to.Port()%2, "RTCP's port")
		assert.Positive(t, b.metrics()[`callengine_hep_packets_total{result="sent"}`])
	})
}

func TestWhatBelongsToNoCallIsCopiedToACollector(t *testing.T) {
	inBubble(t, toHomer, func(t *testing.T, b *bubble) {
		h := newHomer(t, b.net)
		scan := outOfDialog(b.phone, "OPTIONS", b.uri("scan"))
		b.phone.Send("10.0.0.1:5060", scan)
		b.phone.Expect("200 OPTIONS")
		synctest.Wait()
		assert.Len(t, h.all(kindSIP, scan.CallID()), 2, "the request and its answer")
	})
}

func TestACallDoesNotCareForItsCollector(t *testing.T) {
	inBubble(t, toHomer, func(t *testing.T, b *bubble) { // nobody is there
		b.call(response(`<Pause duration="10"/>`)).Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, 1, b.logs.FilterMessage("HEP cannot be sent").Len(), "once per row of failures")
		assert.Positive(t, b.metrics()[`callengine_hep_packets_total{result="failed"}`])
		assert.Zero(t, b.metrics()[`callengine_hep_packets_total{result="sent"}`])
	})
}

// A socket that is bound to all addresses has none: the collector is told the one that callers are told.
func TestACollectorIsToldAnAddressWhereTheListenerHasNone(t *testing.T) {
	collector, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer func() { assert.NoError(t, collector.Close()) }()
	l := onLoopback(t, func(cfg *node.Config) {
		cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: netip.MustParseAddrPort("0.0.0.0:0")}}
		cfg.SIP.Advertise = "127.0.0.1"
		cfg.HEP.Address = collector.LocalAddr().String()
	})
	port := netip.MustParseAddrPort(l.address("udp")).Port()
	phone := l.phones["udp"]
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
	phone.Send(at, outOfDialog(phone, "OPTIONS", "sip:"+at))
	phone.Expect("200 OPTIONS")
	b := make([]byte, 1<<16)
	require.NoError(t, collector.SetReadDeadline(time.Now().Add(patience)))
	n, err := collector.Read(b)
	require.NoError(t, err)
	near, far := net.Pipe()
	h := &homer{}
	go func() {
		_, _ = near.Write(b[:n])
		_ = near.Close()
	}()
	h.read(t, far)
	require.Len(t, h.got, 1)
	assert.Equal(t, phone.Addr(), h.got[0].from)
	assert.Equal(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), h.got[0].to)
}
