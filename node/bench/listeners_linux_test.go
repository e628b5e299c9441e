package bench_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	packetTime = 20 * time.Millisecond
	packetSize = 160 // samples
	tooLate    = 40 * time.Millisecond
	perPort    = 20 // calls whose sound comes to one port
)

// listeners are the phones' ends of the sound of many calls. They note when each packet was sent, by the kernel's clock: on
// the loopback a packet arrives when it is sent, however late it is read. So they look now and then, and the node need not
// wake them. Those that speak send as much as they get.
type listeners struct {
	file  string // for sipp: the port of each call
	ends  []int  // sockets
	ended sync.WaitGroup

	mu      sync.Mutex
	calls   map[netip.AddrPort]*heard // by the node's address
	noting  bool
	spoken  int
	closing bool
}

// heard is what came of one call.
type heard struct {
	end    int
	start  uint32 // timestamp of the first packet that was noted
	count  int
	latest uint32          // timestamp
	waits  []time.Duration // of each packet, from an arbitrary time on
}

// listen opens the ends of so many calls.
func listen(b testing.TB, calls int, speak bool) *listeners {
	b.Helper()
	l := &listeners{file: filepath.Join(b.TempDir(), "ports.csv"), calls: map[netip.AddrPort]*heard{}}
	var ports strings.Builder
	fmt.Fprintln(&ports, "SEQUENTIAL")
	for n := 0; n < calls; n += perPort {
		end, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(b, err)
		require.NoError(b, unix.SetsockoptInt(end, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
		_ = unix.SetsockoptInt(end, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20) // as much as the host lets it
		require.NoError(b, unix.Bind(end, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		name, err := unix.Getsockname(end)
		require.NoError(b, err)
		l.ends = append(l.ends, end)
		for range perPort {
			fmt.Fprintln(&ports, name.(*unix.SockaddrInet4).Port)
		}
	}
	l.ended.Go(l.look)
	require.NoError(b, os.WriteFile(l.file, []byte(ports.String()), 0o600))
	if speak {
		l.ended.Go(l.speak)
	}
	b.Cleanup(func() {
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.ended.Wait()
		for _, end := range l.ends {
			_ = unix.Close(end)
		}
	})
	return l
}

// look reads what has come, again and again.
func (l *listeners) look() {
	for ; ; time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		closing := l.closing
		for _, end := range l.ends {
			l.read(end)
		}
		l.mu.Unlock()
		if closing {
			return
		}
	}
}

// read reads all that has come to a socket. The lock is held.
func (l *listeners) read(end int) {
	var packet, control [256]byte
	for {
		n, o, _, from, err := unix.Recvmsg(end, packet[:], control[:], unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		if sent, ok := timestamp(control[:o]); ok && n == 12+packetSize {
			a := from.(*unix.SockaddrInet4)
			l.note(end, netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), binary.BigEndian.Uint32(packet[4:]), sent)
		}
	}
}

// timestamp reads the time of SO_TIMESTAMPNS, which comes alone.
func timestamp(control []byte) (time.Time, bool) {
	if len(control) < unix.CmsgSpace(16) || binary.NativeEndian.Uint32(control[12:]) != unix.SO_TIMESTAMPNS {
		return time.Time{}, false
	}
	at := control[unix.CmsgLen(0):]
	return time.Unix(int64(binary.NativeEndian.Uint64(at)), int64(binary.NativeEndian.Uint64(at[8:]))), true
}

// note takes note of a packet. The lock is held.
func (l *listeners) note(end int, from netip.AddrPort, timestamp uint32, sent time.Time) {
	h := l.calls[from]
	if h == nil {
		h = &heard{end: end}
		l.calls[from] = h
	}
	if !l.noting {
		return
	}
	if h.count == 0 {
		h.start = timestamp
	}
	h.count++
	h.latest = timestamp
	played := time.Duration(timestamp-h.start) * time.Second / 8000
	h.waits = append(h.waits, time.Duration(sent.UnixNano())-played)
}

// speak sends a packet of sound for every call, each in its own phase.
func (l *listeners) speak() {
	type voice struct {
		from   int
		to     unix.SockaddrInet4
		packet [12 + packetSize]byte
	}
	const slots = 20
	var voices [slots][]*voice // by the millisecond
	known := map[netip.AddrPort]bool{}
	next := time.Now()
	for slot := 0; ; slot = (slot + 1) % slots {
		time.Sleep(time.Until(next))
		next = next.Add(packetTime / slots)
		if slot == 0 {
			l.mu.Lock()
			if l.closing {
				l.mu.Unlock()
				return
			}
			for to, h := range l.calls {
				if !known[to] {
					known[to] = true
					v := &voice{from: h.end, to: unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}}
					v.packet[0] = 0x80
					binary.BigEndian.PutUint32(v.packet[8:], uint32(len(known)))
					voices[len(known)%slots] = append(voices[len(known)%slots], v)
				}
			}
			l.mu.Unlock()
		}
		sent := 0
		for _, v := range voices[slot] {
			binary.BigEndian.PutUint16(v.packet[2:], binary.BigEndian.Uint16(v.packet[2:])+1)
			binary.BigEndian.PutUint32(v.packet[4:], binary.BigEndian.Uint32(v.packet[4:])+packetSize)
			if unix.Sendto(v.from, v.packet[:], unix.MSG_DONTWAIT, &v.to) == nil {
				sent++
			}
		}
		l.mu.Lock()
		l.spoken += sent
		l.mu.Unlock()
	}
}

// during notes what comes for a while.
func (l *listeners) during(d time.Duration) {
	l.mu.Lock()
	l.noting, l.spoken = true, 0
	l.mu.Unlock()
	time.Sleep(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noting = false
}

// punctuality is what came of the packets of many calls.
type punctuality struct {
	calls, packets int
	late           int // more than tooLate behind the call's most punctual packet, or not sent at all
	worst          time.Duration
	spoken         int // packets that were sent to the node meanwhile
}

func (p punctuality) String() string {
	return fmt.Sprintf("%d calls, %d packets, %d of them too late or missing (%.3f %%), the worst by %v; %d sent to the node",
		p.calls, p.packets, p.late, p.lateShare(), p.worst.Round(time.Millisecond), p.spoken)
}

// lateShare is how many packets of a hundred are late.
func (p punctuality) lateShare() float64 { return 100 * float64(p.late) / float64(max(1, p.packets)) }

func (l *listeners) punctuality() (p punctuality) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.spoken = l.spoken
	for _, h := range l.calls {
		if h.count == 0 {
			continue
		}
		p.calls++
		due := int((h.latest-h.start)/packetSize) + 1
		p.packets += max(due, h.count)
		p.late += max(0, due-h.count)
		best := h.waits[0]
		for _, w := range h.waits {
			best = min(best, w)
		}
		for _, w := range h.waits {
			p.worst = max(p.worst, w-best)
			if w-best > tooLate {
				p.late++
			}
		}
	}
	return p
}
