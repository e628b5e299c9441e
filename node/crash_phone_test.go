package node_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// enduring is a phone that lives through the crash of a node: it repeats what gets no answer, answers what comes, and
// notes what must not happen. It writes its messages as text, and knows nothing of the node's stack.
type enduring struct {
	conn    net.PacketConn
	node    net.Addr
	script  phoneScript
	reading sync.WaitGroup

	mu     sync.Mutex
	lines  map[string]*line // by Call-ID
	serial int
}

// phoneScript is how a phone behaves in each of its calls.
type phoneScript struct {
	refer       int           // status of a REFER; 0: 202
	early       bool          // the NOTIFY comes before the answer to the REFER
	notify      int           // final status that the NOTIFY tells; 0: none comes
	after       time.Duration // of it, from the REFER on
	hangUp      time.Duration // BYE, from the answer on; 0: none
	hangUpRefer time.Duration // BYE, from the REFER on; 0: none
	press       string        // keys, by INFO, one a second from the answer on
	cancel      time.Duration // CANCEL, from the INVITE on; 0: none
	deaf        bool          // it hears no BYE and no refusal
	challenge   bool          // a REFER needs credentials
	headers     string        // more lines of its INVITE
	refresh     time.Duration // how often it sends a re-INVITE; 0: never
	offer       string        // its session description, with the IP address twice and the port; "": phoneSDP
	timer       string        // Session-Expires of its answers to the node's re-INVITEs and UPDATEs; "": none
}

// line is one call of the phone.
type line struct {
	phone  *enduring
	callID string
	tag    string

	invite                     string // as it was sent
	peer                       string // To with the node's tag
	target                     string // the node's Contact
	proceeding, answered, over bool
	refused                    int
	cseq                       int
	last                       int               // highest CSeq of the node
	answers                    map[string]string // by branch and method: what was answered
	waiting                    map[string]*waiting
	timers                     []*time.Timer
	refers                     []string // Refer-To of each REFER, repetitions not counted
	told                       []int    // statuses that the node gave to NOTIFYs of an outcome
	faults                     []string
	unheard                    bool                // nothing answered its INVITE
	answer                     string              // the 200
	offers                     []string            // re-INVITEs of the node
	unconfirmed                map[int]*time.Timer // that it has answered and that have no ACK, by CSeq
	refreshed                  int                 // how often a re-INVITE of its own was accepted
	rung                       map[string]bool     // reliable responses that it has acknowledged, by RSeq
}

// waiting is a request that has no final response.
type waiting struct {
	text  string
	done  func(code int)
	timer *time.Timer

	sentOn int // over streams: on which connection; 0: it has to be sent again
}

func newEnduring(conn net.PacketConn, node net.Addr, script phoneScript) *enduring {
	p := &enduring{conn: conn, node: node, script: script, lines: map[string]*line{}}
	p.reading.Go(p.read)
	return p
}

func (p *enduring) close() {
	p.mu.Lock()
	for _, l := range p.lines {
		for _, t := range l.timers {
			t.Stop()
		}
		for _, w := range l.waiting {
			w.timer.Stop()
		}
	}
	p.mu.Unlock()
	_ = p.conn.Close()
	p.reading.Wait()
}

func (p *enduring) read() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := p.conn.ReadFrom(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.arrived(string(b[:n]), from)
		p.mu.Unlock()
	}
}

func (p *enduring) send(text string) { _, _ = p.conn.WriteTo([]byte(text), p.node) }

// field returns the first header field of that name.
func field(text, name string) string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, h := range strings.Split(head, "\r\n")[1:] {
		if k, v, _ := strings.Cut(h, ":"); strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func tagIn(value string) string {
	_, tag, _ := strings.Cut(value, ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

func branchIn(via string) string {
	_, branch, _ := strings.Cut(via, "branch=")
	branch, _, _ = strings.Cut(branch, ";")
	return branch
}

const phoneSDP = "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"

func (p *enduring) sdp() string {
	host, _, _ := net.SplitHostPort(p.conn.LocalAddr().String())
	format := p.script.offer
	if format == "" {
		format = phoneSDP
	}
	return fmt.Sprintf(format, host, host, 9)
}

// call places a call.
func (p *enduring) call(user string) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	l := &line{
		phone: p, callID: fmt.Sprintf("call-%d@%s", p.serial, p.conn.LocalAddr()), tag: fmt.Sprintf("p%d", p.serial), cseq: 1,
		answers: map[string]string{}, waiting: map[string]*waiting{}, unconfirmed: map[int]*time.Timer{}, rung: map[string]bool{},
	}
	p.lines[l.callID] = l
	l.peer, l.target = "<sip:"+user+"@"+p.node.String()+">", "sip:"+user+"@"+p.node.String()+p.transport()
	l.invite = l.request("INVITE", 1, "i"+l.callID, p.script.headers+"Content-Type: application/sdp", p.sdp())
	l.repeat("i"+l.callID, l.invite, func(code int) {
		if code == 0 {
			l.over, l.unheard = true, true
		}
	})
	if d := p.script.cancel; d > 0 {
		l.later(d, l.cancel)
	}
	return l
}

// later calls f with the lock held.
func (l *line) later(d time.Duration, f func()) {
	l.timers = append(l.timers, time.AfterFunc(d, func() {
		l.phone.mu.Lock()
		defer l.phone.mu.Unlock()
		f()
	}))
}

// request writes a request of the call; headers may hold several lines.
func (l *line) request(method string, cseq int, branch, headers, body string) string {
	local := l.phone.conn.LocalAddr().String()
	if headers != "" {
		headers += "\r\n"
	}
	via := "SIP/2.0/UDP"
	if l.phone.transport() != "" {
		via = "SIP/2.0/TCP"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: %s %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:phone@%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:phone@%s%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, l.target, via, local, branch, local, l.tag, l.peer, l.callID, cseq, method, local, l.phone.transport(), headers, len(body), body)
}

// repeat sends a request until it has a final response, or, an INVITE, any; done is told the status, 0 for none.
func (l *line) repeat(branch, text string, done func(code int)) {
	w := &waiting{text: text, done: done}
	l.waiting[branch] = w
	pause, until := 500*time.Millisecond, time.Now().Add(32*time.Second)
	w.timer = time.AfterFunc(pause, func() {
		l.phone.mu.Lock()
		defer l.phone.mu.Unlock()
		if l.waiting[branch] != w {
			return
		}
		if time.Now().After(until) {
			delete(l.waiting, branch)
			done(0)
			return
		}
		if w.sentOn == 0 || w.sentOn != l.phone.connection() {
			l.phone.send(text)
			w.sentOn = l.phone.connection()
		}
		pause = min(2*pause, 4*time.Second)
		w.timer.Reset(pause)
	})
	l.phone.send(text)
	w.sentOn = l.phone.connection()
}

// ask sends another request in the dialog.
func (l *line) ask(method, headers, body string, done func(code int)) {
	l.cseq++
	branch := fmt.Sprintf("%s-%d-%s", method, l.cseq, l.callID)
	l.repeat(branch, l.request(method, l.cseq, branch, headers, body), done)
}

func (l *line) cancel() {
	if l.answered || l.over || !l.proceeding {
		return
	}
	text := strings.Replace(l.invite, "INVITE sip:", "CANCEL sip:", 1)
	text = strings.Replace(text, "CSeq: 1 INVITE", "CSeq: 1 CANCEL", 1)
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	head = strings.Replace(head, "Content-Type: application/sdp\r\n", "", 1)
	head = head[:strings.LastIndex(head, "\r\n")] + "\r\nContent-Length: 0\r\n\r\n"
	l.repeat("c"+l.callID, head, func(int) {})
}

func (l *line) hangUp() {
	if l.over || !l.answered {
		return
	}
	l.over = true
	l.ask("BYE", "", "", func(int) {})
}

func (p *enduring) arrived(text string, from net.Addr) {
	l := p.lines[field(text, "Call-ID")]
	number, method, _ := strings.Cut(field(text, "CSeq"), " ")
	cseq, _ := strconv.Atoi(number)
	switch {
	case l == nil && !strings.HasPrefix(text, "SIP/2.0 "):
		_, _ = p.conn.WriteTo([]byte(reply(text, 481, "", "")), from)
	case l == nil:
	case strings.HasPrefix(text, "SIP/2.0 "):
		code, _ := strconv.Atoi(text[8:11])
		l.response(text, method, cseq, code)
	default:
		l.requested(text, method, cseq, from)
	}
}

func (l *line) response(text, method string, cseq, code int) {
	branch := strings.TrimPrefix(branchIn(field(text, "Via")), "z9hG4bK")
	if method == "CANCEL" {
		branch = "c" + l.callID // in its Via it has that of the INVITE
	}
	w := l.waiting[branch]
	if method == "INVITE" && code >= 300 && l.phone.script.deaf {
		return
	}
	switch {
	case method == "INVITE" && cseq == 1:
		l.inviteAnswered(text, code)
	case method == "INVITE" && code >= 200:
		ack := fmt.Sprintf("a%d-%s", cseq, l.callID)
		if code >= 300 {
			ack = branch
		}
		l.phone.send(l.request("ACK", cseq, ack, "", ""))
	}
	if w == nil || code < 200 && method != "INVITE" {
		return
	}
	w.timer.Stop() // a provisional response ends the repetitions of an INVITE, and not the wait
	if code >= 200 || cseq == 1 {
		delete(l.waiting, branch)
	}
	if code >= 200 {
		w.done(code)
	}
}

func (l *line) inviteAnswered(text string, code int) {
	switch {
	case code < 200:
		l.proceeding = true
		l.acknowledge(text)
	case code < 300:
		if l.refused != 0 {
			l.fault("a 200 after the call was refused")
		}
		if l.answered && tagIn(l.peer) != tagIn(field(text, "To")) {
			l.fault("a second dialog")
		}
		first := !l.answered
		if first {
			l.answered, l.answer = true, text
			l.peer = field(text, "To")
			l.target = strings.Trim(field(text, "Contact"), "<>")
		}
		l.phone.send(l.request("ACK", 1, "a"+l.callID, "", ""))
		if first {
			l.begin()
		}
	default:
		if !l.answered {
			l.refused, l.over = code, true
		}
		ack := strings.Replace(l.invite, "INVITE sip:", "ACK sip:", 1)
		ack = strings.Replace(ack, "CSeq: 1 INVITE", "CSeq: 1 ACK", 1)
		head, _, _ := strings.Cut(ack, "\r\nContent-Type")
		to := field(ack, "To")
		head = strings.Replace(head, "To: "+to, "To: "+field(text, "To"), 1)
		l.phone.send(head + "\r\nContent-Length: 0\r\n\r\n")
	}
}

// begin does what the script says of an answered call.
func (l *line) begin() {
	s := l.phone.script
	if s.hangUp > 0 {
		l.later(s.hangUp, l.hangUp)
	}
	if s.refresh > 0 {
		l.later(s.refresh, l.refresh)
	}
	for i, key := range s.press {
		l.later(time.Duration(i+1)*time.Second, func() {
			if !l.over {
				l.ask("INFO", "Content-Type: application/dtmf-relay", fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", key), func(int) {})
			}
		})
	}
}

func (l *line) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}
