package sipstack

import (
	"encoding/hex"
	"hash"
	"net"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// arrive looks at each message in the goroutine that read it, before sipgo starts one to handle it. Requests are
// completed here, where nobody else has them.
func (s *Stack) arrive(msg sip.Message) {
	defer func() {
		if v := recover(); v != nil {
			s.observer.Panic("", v)
		}
	}()
	req, ok := msg.(*sip.Request)
	if !ok {
		return
	}
	// RFC 3261 section 18.2.1
	if via := req.Via(); via != nil && via.Params.Has("branch") {
		if host, _, err := net.SplitHostPort(req.Source()); err == nil && strings.Trim(via.Host, "[]") != host {
			via.Params.Add("received", host)
		}
	}
	if req.IsInvite() || req.IsCancel() {
		s.tagged(req)
	}
	s.announce(req)
}

// announce tells a request's dialog that it is coming, so that what was sent after it is not handled before.
func (s *Stack) announce(req *sip.Request) {
	if req.IsAck() || req.IsCancel() || unacceptable(req) != 0 {
		return
	}
	if d := s.dialog(req); d != nil {
		d.inbox.announce(req.CSeq().SeqNo)
	}
}

// tagged puts our tag on an INVITE that has none, and on its CANCEL: all responses to them have it then, those of
// sipgo's own making too (RFC 3261 sections 8.2.6.2 and 9.2).
func (s *Stack) tagged(req *sip.Request) {
	to := req.To()
	if to == nil || tagOf(to.Params) != "" || req.From() == nil || req.CallID() == nil || req.CSeq() == nil {
		return
	}
	to.Params.Add("tag", s.tag(req))
}

// tag computes our tag for an INVITE. The same INVITE, sent again or canceled, gets the same; nobody else can guess it.
func (s *Stack) tag(req *sip.Request) string {
	if tag := s.tagBefore(req); tag != "" {
		return tag
	}
	var branch string
	if via := req.Via(); via != nil {
		branch, _ = via.Params.Get("branch")
	}
	text := make([]byte, 0, 256)
	for _, part := range []string{
		req.CallID().Value(), tagOf(req.From().Params), branch, strconv.FormatUint(uint64(req.CSeq().SeqNo), 10),
	} {
		text = append(append(text, part...), 0)
	}
	mac := s.macs.Get().(hash.Hash)
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(text[:0])[:10])
}

// tagBefore returns our tag for an INVITE that another process had; "": it is none.
func (s *Stack) tagBefore(req *sip.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.returning) == 0 {
		return ""
	}
	if r := s.returning[inviteOf(req)]; r != nil {
		return r.history.id.local
	}
	return ""
}

// initial reports whether an INVITE opens a dialog: it came without a To tag, and has ours since.
func (s *Stack) initial(req *sip.Request) bool { return tagOf(req.To().Params) == s.tag(req) }

// stray takes responses that belong to no transaction, and every 2xx to an INVITE that opens a call of ours but the first:
// repeated ones, most of the time. The ACK of a 2xx is repeated then.
func (s *Stack) stray(res *sip.Response) {
	if d := s.dialogOfResponse(res); d != nil && d.acknowledgeAgain(res) {
		return
	}
	if o := s.outgoingOf(res); o != nil {
		s.spawn(func() { o.further(res) })
		return
	}
	s.log.Debug("response without a transaction", zap.Int("code", res.StatusCode))
}
