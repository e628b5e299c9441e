package node_test

import (
	"fmt"
	"strings"
	"time"
)

// protectedSDP is phoneSDP for sound that SDES protects (RFC 4568).
const protectedSDP = "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/SAVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n" +
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"

// acknowledge sends the PRACK of a reliable provisional response.
func (l *line) acknowledge(text string) {
	rseq := field(text, "RSeq")
	if rseq == "" || l.rung[rseq] || l.over {
		return
	}
	l.rung[rseq] = true
	l.peer, l.target = field(text, "To"), strings.Trim(field(text, "Contact"), "<>")
	l.ask("PRACK", "RAck: "+rseq+" 1 INVITE", "", func(code int) {
		if code != 200 && !l.over {
			l.fault("a PRACK got %d", code)
		}
	})
}

// refresh sends a re-INVITE, and the next one after a while.
func (l *line) refresh() {
	if l.over {
		return
	}
	l.ask("INVITE", l.phone.script.headers+"Content-Type: application/sdp", l.phone.sdp(), func(code int) {
		if code == 200 {
			l.refreshed++
		} else if !l.over {
			l.fault("a re-INVITE got %d", code)
		}
	})
	l.later(l.phone.script.refresh, l.refresh)
}

// confirmed is told of an ACK.
func (l *line) confirmed(cseq int) {
	if t := l.unconfirmed[cseq]; t != nil {
		t.Stop()
		delete(l.unconfirmed, cseq)
	}
}

// repeatAnswer repeats the 200 of a re-INVITE until its ACK is there.
func (l *line) repeatAnswer(cseq int, answer string) {
	if l.unconfirmed[cseq] != nil {
		return
	}
	pause, until := 500*time.Millisecond, time.Now().Add(32*time.Second)
	var t *time.Timer
	t = time.AfterFunc(pause, func() {
		l.phone.mu.Lock()
		defer l.phone.mu.Unlock()
		switch {
		case l.unconfirmed[cseq] != t || l.over:
		case time.Now().After(until):
			l.fault("no ACK of the INVITE %d", cseq)
		default:
			l.phone.send(answer)
			pause = min(2*pause, 4*time.Second)
			t.Reset(pause)
		}
	})
	l.unconfirmed[cseq] = t
	l.timers = append(l.timers, t)
}

// follow reports what becomes of a REFER.
func (l *line) follow(cseq int) {
	s := l.phone.script
	if s.refer >= 300 {
		return
	}
	notify := func(state string, status int) {
		l.ask("NOTIFY", fmt.Sprintf("Event: refer;id=%d\r\nSubscription-State: %s\r\nContent-Type: message/sipfrag", cseq, state),
			fmt.Sprintf("SIP/2.0 %d Status\r\n", status), func(code int) {
				if status >= 200 {
					l.told = append(l.told, code)
				}
			})
	}
	notify("active;expires=60", 100)
	if s.notify > 0 {
		l.later(s.after, func() { notify("terminated;reason=noresource", s.notify) })
	}
	if s.hangUpRefer > 0 {
		l.later(s.hangUpRefer, l.hangUp)
	}
}
