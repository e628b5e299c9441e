package sipstack

import (
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// timerTerms are what is agreed on of a call's session timer (RFC 4028).
type timerTerms struct {
	interval time.Duration // 0: there is none
	ours     bool          // we refresh the session; else the peer does
	told     bool          // the peer understands the header fields
}

// answer returns what a 2xx says of it (RFC 4028 section 9).
func (t timerTerms) answer() []sip.Header {
	if t.interval == 0 {
		return nil
	}
	e := sessionExpires{t.interval, refresherUAC}
	if t.ours {
		e.refresher = refresherUAS
	}
	hdrs := []sip.Header{e.header()}
	if t.told {
		hdrs = append(hdrs, sip.NewHeader("Require", tagTimer))
	}
	return hdrs
}

// margin is how long before its end a session is given up that nobody has refreshed (RFC 4028 section 10).
func (t timerTerms) margin() time.Duration { return min(32*time.Second, t.interval/3) }

// timerName is the name under which an [Observer] hears of the session timer.
const timerName = "session"

// sessionTimer is the session timer of a call. Its zero value does not run.
type sessionTimer struct {
	mu      sync.Mutex
	terms   timerTerms
	since   time.Time     // of the newest refresh
	least   time.Duration // the longest of the Min-SEs heard; 0: none
	changed chan struct{} // closed with the next refresh
	running bool          // a goroutine watches it
}

// timerState is a session timer at one moment.
type timerState struct {
	timerTerms
	since   time.Time
	changed <-chan struct{}
}

// end is when the session is given up.
func (t timerState) end() time.Time { return t.since.Add(t.interval - t.margin()) }

// due is when something is to be done: our refresh, or the end.
func (t timerState) due() time.Time {
	if t.ours {
		return t.since.Add(t.interval / 2)
	}
	return t.end()
}

func (x *sessionTimer) state() timerState {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.changed == nil {
		x.changed = make(chan struct{})
	}
	return timerState{x.terms, x.since, x.changed}
}

// agree takes terms into force: a refresh. It returns those before.
func (x *sessionTimer) agree(t timerTerms) (before timerTerms) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before = x.terms
	x.terms, x.since = t, time.Now()
	if x.changed != nil {
		close(x.changed)
		x.changed = nil
	}
	return before
}

// proposed returns the terms that a 2xx to an INVITE or UPDATE states, or the 422 for one whose interval is too short
// (RFC 4028 section 9). A caller that knows nothing of session timers gets none, unless a proxy has asked for one: it
// is ours to refresh then.
func (x *sessionTimer) proposed(s *Stack, req *sip.Request) (timerTerms, *sip.Response) {
	if s.cfg.SessionExpires == 0 {
		return timerTerms{}, nil
	}
	least := x.hear(req)
	now := x.state().timerTerms
	told := understands(req, tagTimer)
	asked, explicit := readSessionExpires(req)
	switch {
	case explicit && asked.interval < s.cfg.MinSE && told:
		return timerTerms{}, s.response(req, statusIntervalTooSmall, "", sip.NewHeader("Min-SE", seconds(s.cfg.MinSE)))
	case explicit && asked.interval < s.cfg.MinSE:
		explicit = false // a 422 would mean nothing to the caller, and the interval must not be made longer
	}
	if !explicit && !told && now.interval == 0 {
		return timerTerms{}, nil
	}
	t := timerTerms{interval: max(s.cfg.SessionExpires, least), told: told}
	if explicit {
		t.interval = min(asked.interval, t.interval)
	}
	switch {
	case !told: // section 9, table 2
		t.ours = true
	case explicit && asked.refresher != "":
		t.ours = asked.refresher == refresherUAS
	case now.interval > 0:
		t.ours = now.ours
	default: // ours to choose: what we do ourselves is done
		t.ours = true
	}
	return t, nil
}

// raised notes the Min-SE of a 422; false: we asked for no less than that.
func (x *sessionTimer) raised(res *sip.Response) bool {
	x.mu.Lock()
	asked := max(x.terms.interval, x.least)
	x.mu.Unlock()
	return x.hear(res) > asked
}

// hear notes the Min-SE of a message, and returns the longest that was heard.
func (x *sessionTimer) hear(msg sip.Message) time.Duration {
	least := readMinSE(msg)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.least = max(x.least, least)
	return x.least
}

// request returns what a request of ours says of session timers, with which we offer to refresh or go on to (RFC 4028
// sections 7.1 and 7.4).
func (x *sessionTimer) request(s *Stack) []sip.Header {
	if s.cfg.SessionExpires == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e := sessionExpires{interval: x.terms.interval}
	if e.interval == 0 {
		e.interval = s.cfg.SessionExpires
	} else {
		e.refresher = refresherUAC
	}
	e.interval = max(e.interval, x.least)
	hdrs := []sip.Header{e.header()}
	if least := max(x.least, s.cfg.MinSE); least > leastSession {
		hdrs = append(hdrs, sip.NewHeader("Min-SE", seconds(least)))
	}
	return hdrs
}

// answered returns the terms that the 2xx to a request of ours states (RFC 4028 section 7.2). A peer that says nothing
// does not know of session timers; we refresh all the same, and learn so when it has gone.
func (x *sessionTimer) answered(s *Stack, res *sip.Response) timerTerms {
	if s.cfg.SessionExpires == 0 {
		return timerTerms{}
	}
	if e, ok := readSessionExpires(res); ok {
		return timerTerms{interval: max(e.interval, 2*time.Second), ours: e.refresher != refresherUAS, told: true}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	t := timerTerms{interval: x.terms.interval, ours: true}
	if t.interval == 0 {
		t.interval = s.cfg.SessionExpires
	}
	t.interval = max(t.interval, x.least)
	return t
}
