package sipstack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/require"
)

// timerF is how long a request of ours waits for its response (RFC 3261 section 17.1.2.2).
const timerF = 32 * time.Second

// plan is what becomes of a REFER. It calls attempt for each time that the REFER goes out.
type plan func(ctx context.Context, attempt func()) (*sip.Response, error)

// answers is a REFER that gets a final response after a time.
func answers(after time.Duration, code int) plan {
	return func(ctx context.Context, attempt func()) (*sip.Response, error) {
		attempt()
		return respondAfter(ctx, after, code)
	}
}

// challenged is a REFER that is sent twice, the second time with credentials.
func challenged(after time.Duration, code int) plan {
	return func(ctx context.Context, attempt func()) (*sip.Response, error) {
		attempt()
		if _, err := respondAfter(ctx, after, sip.StatusUnauthorized); err != nil {
			return nil, err
		}
		attempt()
		return respondAfter(ctx, after, code)
	}
}

// fails is a REFER that goes out and ends without a response.
func fails(after time.Duration, err error) plan {
	return func(ctx context.Context, attempt func()) (*sip.Response, error) {
		attempt()
		if _, ended := respondAfter(ctx, after, sip.StatusOK); ended != nil {
			return nil, ended
		}
		return nil, fmt.Errorf("REFER: %w", err)
	}
}

func respondAfter(ctx context.Context, after time.Duration, code int) (*sip.Response, error) {
	select {
	case <-time.After(after):
		return sip.NewResponse(code, "whatever"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// far is a dialog with a scripted far end: REFERs go by their plans, and notify sends a NOTIFY. It is the observer too.
type far struct {
	t     *testing.T
	start time.Time
	set   *referrals
	wg    sync.WaitGroup

	mu      sync.Mutex
	plans   []plan
	cseq    uint32 // of our newest request
	headers []sip.Header
	told    []string
	ended   []ReferState
}

// inBubble runs f with a far end in a synctest bubble, and sees to it that nothing is left of the referrals.
func inBubble(t *testing.T, f func(x *far), plans ...plan) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &far{t: t, start: time.Now(), plans: plans, cseq: 1}
		x.set = newReferrals(referEnv{
			send: x.send, observer: x, callID: "c-1", spawn: goIn(&x.wg),
			lost:    func(code int) { x.note("lost %d", code) },
			release: func() { x.note("release") },
		})
		f(x)
		x.set.interrupt()
		x.wg.Wait()
		require.False(t, x.set.pending())
	})
}

// goIn runs what referrals do in goroutines that wg counts.
func goIn(wg *sync.WaitGroup) func(func()) bool {
	return func(f func()) bool {
		wg.Go(f)
		return true
	}
}

func (x *far) send(ctx context.Context, method sip.RequestMethod, hdrs []sip.Header, body []byte, sent func(uint32)) (*sip.Response, error) {
	x.mu.Lock()
	if method != sip.REFER || len(body) != 0 || len(x.plans) == 0 {
		x.mu.Unlock()
		return nil, errors.New("not in the plan")
	}
	next := x.plans[0]
	x.plans = x.plans[1:]
	x.headers = hdrs
	x.mu.Unlock()
	return next(ctx, func() {
		x.mu.Lock()
		x.cseq++
		cseq := x.cseq
		x.mu.Unlock()
		sent(cseq)
	})
}

// refer starts a referral.
func (x *far) refer() *Referral {
	x.t.Helper()
	f, err := x.set.start("sip:desk@example.com", "sip:node@example.org")
	require.NoError(x.t, err)
	return f
}

// notify sends a NOTIFY that has these header lines besides the usual ones, and returns the code of its answer, which must
// be there at once. A line that is empty is left out.
func (x *far) notify(body string, lines ...string) int {
	x.t.Helper()
	began := time.Now()
	var codes []int
	x.set.notify(parseNotify(x.t, body, lines...), func(code int, _ string, _ ...sip.Header) { codes = append(codes, code) })
	require.Len(x.t, codes, 1, "one answer")
	require.Zero(x.t, time.Since(began), "the answer waits for nothing")
	return codes[0]
}

func parseNotify(t testing.TB, body string, lines ...string) *sip.Request {
	t.Helper()
	var b strings.Builder
	b.WriteString("NOTIFY sip:node@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK1\r\n" +
		"From: <sip:caller@127.0.0.1>;tag=a\r\nTo: <sip:node@127.0.0.1>;tag=b\r\nCall-ID: 1\r\nCSeq: 7 NOTIFY\r\n")
	for _, line := range lines {
		if line != "" {
			b.WriteString(line + "\r\n")
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	msg, err := sip.ParseMessage([]byte(b.String()))
	require.NoError(t, err)
	return msg.(*sip.Request)
}

// sipfrag are the header lines of an ordinary NOTIFY.
func sipfrag(event, state string) []string {
	return []string{"Event: " + event, "Subscription-State: " + state, "Content-Type: message/sipfrag;version=2.0"}
}

func (x *far) progress(code int) int {
	return x.notify(fmt.Sprintf("SIP/2.0 %d Progress\r\n", code), sipfrag("refer", "active;expires=60")...)
}

func (x *far) final(code int) int {
	return x.notify(fmt.Sprintf("SIP/2.0 %d Final\r\n", code), sipfrag("refer", "terminated;reason=noresource")...)
}

// news returns what was told since the last call, each item with the time since the start.
func (x *far) news() []string {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	told := x.told
	x.told = nil
	return told
}

func (x *far) note(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = append(x.told, fmt.Sprintf("%v ", time.Since(x.start))+fmt.Sprintf(format, args...))
}

// SIP implements [Observer].
func (x *far) SIP(string, Message) {}

// Timer implements [Observer].
func (x *far) Timer(_, name, event string, d time.Duration) { x.note("%s %s %v", name, event, d) }

// Refer implements [Observer].
func (x *far) Refer(_ string, s ReferState) {
	x.note("refer %s", s.Status)
	if s.over() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ended = append(x.ended, s)
	}
}

// Media implements [Observer].
func (x *far) Media(string, media.Params) {}

// Digit implements [Observer].
func (x *far) Digit(_ string, d media.Digit) { x.note("digit %c", d.Key) }

// Dialog implements [Observer].
func (x *far) Dialog(string, []byte) {}

// LateNotify implements [Observer].
func (x *far) LateNotify(string) { x.note("late NOTIFY") }
func (x *far) Await(string)      {}

// Panic implements [Observer].
func (x *far) Panic(_ string, v any) { x.t.Errorf("panic: %v", v) }

// outcome is what an application gets of a ReferState, without times.
type outcome struct {
	Status               string
	Refer, Notify        int
	Evidence             string
	Billable, DialogLost bool
}

// outcomeOf returns the outcome of a referral that must be over.
func (x *far) outcomeOf(f *Referral) outcome {
	x.t.Helper()
	synctest.Wait()
	select {
	case <-f.Done():
	default:
		x.t.Fatalf("pending after %v: %+v", time.Since(x.start), f.Result())
	}
	s := f.Result()
	require.False(x.t, s.Ended.IsZero())
	return outcome{s.Status, s.ReferCode, s.NotifyCode, s.Evidence, s.Billable(), s.DialogLost}
}

// requirePending requires that a referral has no outcome yet.
func (x *far) requirePending(f *Referral) {
	x.t.Helper()
	synctest.Wait()
	select {
	case <-f.Done():
		x.t.Fatalf("over after %v: %+v", time.Since(x.start), f.Result())
	default:
	}
	require.Equal(x.t, ReferPending, f.Result().Status)
	require.True(x.t, x.set.pending())
}
