package node_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"go.uber.org/goleak"
)

var sentFile = flag.String("sent", "", "write what the nodes in bubbles send to a `FILE`, as pcap; `make dissect` reads it")

// sent is the packets that nodes have sent: a pcap file whose packets begin with their IP header. What came to sipsPort is among
// them: nobody could read the answers without. The keys to both are in a file beside it.
type sent struct {
	mu      sync.Mutex
	file    *os.File
	keyFile *os.File
	out     *bufio.Writer
	streams int
}

// sipsPort is where nodes listen for TLS.
const sipsPort = 5061

// rawIP is LINKTYPE_RAW of pcap's registry of link types.
const rawIP = 101

// begin opens the file, if it is wanted.
func (s *sent) begin() (err error) {
	if *sentFile == "" {
		return nil
	}
	if s.file, err = os.Create(*sentFile); err != nil {
		return err
	}
	if s.keyFile, err = os.Create(*sentFile + ".keys"); err != nil {
		return err
	}
	s.out = bufio.NewWriter(s.file)
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	header = binary.LittleEndian.AppendUint16(header, 2)
	header = binary.LittleEndian.AppendUint16(header, 4)
	header = append(header, make([]byte, 8)...)
	header = binary.LittleEndian.AppendUint32(header, 1<<17) // longer than any packet
	_, err = s.out.Write(binary.LittleEndian.AppendUint32(header, rawIP))
	return err
}

// end closes the file.
func (s *sent) end() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.out.Flush(), s.file.Close(), s.keyFile.Close())
}

// keys is where a phone that calls over TLS writes its keys; nil: nowhere.
func (s *sent) keys() io.Writer {
	if s.keyFile == nil {
		return nil
	}
	return s.keyFile
}

var allSent = &sent{}

// recorded is a network of which the node's packets are written down, if that is wanted.
func recorded(n *scenario.Memory) node.Network {
	if *sentFile == "" {
		return n
	}
	return recording{n, allSent}
}

const udpProtocol, tcpProtocol = 17, 6

// add writes down a packet: the ports, the rest of the transport's header, what it carries.
func (s *sent) add(protocol byte, from, to netip.AddrPort, rest, payload []byte) {
	src, dst := from.Addr().Unmap(), to.Addr().Unmap()
	segment := binary.BigEndian.AppendUint16(nil, from.Port())
	segment = binary.BigEndian.AppendUint16(segment, to.Port())
	segment = append(append(segment, rest...), payload...)
	if protocol == udpProtocol {
		sum := checksum(src, dst, protocol, segment)
		binary.BigEndian.PutUint16(segment[6:], sum) // IPv6 demands one
	}
	var packet []byte
	if src.Is4() {
		packet = binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(segment)))
		packet = append(packet, 0, 0, 0, 0, 64, protocol, 0, 0)
	} else {
		packet = binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(segment)))
		packet = append(packet, protocol, 64)
	}
	packet = append(append(append(packet, src.AsSlice()...), dst.AsSlice()...), segment...)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var record []byte
	for _, n := range []int{int(now.Unix()), now.Nanosecond() / 1000, len(packet), len(packet)} {
		record = binary.LittleEndian.AppendUint32(record, uint32(n))
	}
	_, _ = s.out.Write(append(record, packet...)) // Flush returns the error
}

// checksum is that of RFC 768, with the pseudo header of IP.
func checksum(src, dst netip.Addr, protocol byte, segment []byte) uint16 {
	data := append(append(src.AsSlice(), dst.AsSlice()...), 0, protocol)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(segment))), segment...)
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	var sum uint32
	for i := 0; i < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff {
		return 0xffff
	}
	return ^uint16(sum)
}

// recording is a network that writes down what goes out by it.
type recording struct {
	*scenario.Memory // which looks up names, too
	sent             *sent
}

func (r recording) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	conn, err := r.Memory.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return recordedPackets{conn, r.sent}, nil
}

func (r recording) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := r.Memory.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return recordedListener{l, r.sent}, nil
}

func (r recording) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := r.Memory.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return r.sent.stream(conn), nil
}

type recordedPackets struct {
	net.PacketConn
	sent *sent
}

func (c recordedPackets) WriteTo(p []byte, to net.Addr) (int, error) {
	rest := binary.BigEndian.AppendUint16(nil, uint16(8+len(p)))
	from := c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.sent.add(udpProtocol, from, to.(*net.UDPAddr).AddrPort(), append(rest, 0, 0), p)
	return c.PacketConn.WriteTo(p, to)
}

type recordedListener struct {
	net.Listener
	sent *sent
}

func (l recordedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.sent.stream(conn), nil
}

// recordedStream is a connection whose far end has a port of its own among all that are recorded: those of different bubbles
// may have the same addresses.
type recordedStream struct {
	net.Conn
	sent     *sent
	from, to netip.AddrPort

	mu       sync.Mutex
	next     uint32 // sequence number
	nextBack uint32 // of the other direction
}

func (s *sent) stream(conn net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams++
	from, to := conn.LocalAddr().(*net.TCPAddr).AddrPort(), conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	return &recordedStream{Conn: conn, sent: s, from: from, to: netip.AddrPortFrom(to.Addr(), uint16(30000+s.streams%30000)), next: 1, nextBack: 1}
}

func (c *recordedStream) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.segments(c.from, c.to, &c.next, p)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *recordedStream) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.from.Port() == sipsPort {
		c.mu.Lock()
		c.segments(c.to, c.from, &c.nextBack, p[:n])
		c.mu.Unlock()
	}
	return n, err
}

// segments writes down what goes from one end to the other; it is called with the lock held.
func (c *recordedStream) segments(from, to netip.AddrPort, next *uint32, data []byte) {
	const most = 32 << 10 // bytes of a segment
	for len(data) > 0 {
		rest := binary.BigEndian.AppendUint32(nil, *next)
		rest = append(rest, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0) // acknowledges nothing new; PSH, ACK
		part := data[:min(most, len(data))]
		c.sent.add(tcpProtocol, from, to, rest, part)
		*next += uint32(len(part))
		data = data[len(part):]
	}
}

// recordingTests writes down what is sent while the tests run.
type recordingTests struct{ goleak.TestingM }

func (m recordingTests) Run() int {
	flag.Parse()
	if err := allSent.begin(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.TestingM.Run()
	if err := allSent.end(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
