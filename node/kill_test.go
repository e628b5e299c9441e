package node_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	kills    = flag.Int("kills", 0, "how often the program is killed under load, 0: it only runs; `make crash` kills it 200 times")
	killRate = flag.Int("killrate", 20, "calls a second meanwhile; `make crash` places 50")
)

// killable is the whole program in a process of its own, on the same addresses and state whenever it is started.
type killable struct {
	t        testing.TB
	binary   string
	args     []string
	dir      string
	sip, api string
	cmd      *exec.Cmd
	exited   chan struct{}
}

func newKillable(t testing.TB, app string) *killable {
	t.Helper()
	p := &killable{t: t, dir: t.TempDir(), binary: filepath.Join(t.TempDir(), "callengine")}
	out, err := exec.Command("go", "build", "-o", p.binary, "github.com/callengine/callengine/cmd/callengine").CombinedOutput()
	require.NoError(t, err, string(out))
	p.sip, p.api = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t) // while it is dead nobody else is to get them
	p.args = []string{
		"serve", "--app", app, "--set", "sip.listen=udp://" + p.sip, "--set", "api.listen=" + p.api,
		"--set", "media.tts.engine=none", "--set", "sip.silence_after=0", "--set", "sip.overload_control=false",
		"--set", "state.dir=" + filepath.Join(p.dir, "state"), "--set", "log.level=info",
	}
	t.Cleanup(func() { p.kill() })
	return p
}

// start starts the program, and returns when it says that it listens.
func (p *killable) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Dir = p.dir
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	require.NoError(p.t, log.Close())
	line, err := bufio.NewReader(out).ReadString('\n')
	text, _ := os.ReadFile(log.Name())
	require.NoError(p.t, err, "%s%s", line, text)
	exited := make(chan struct{})
	p.exited = exited
	go func(cmd *exec.Cmd) {
		defer close(exited)
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}(p.cmd)
}

// kill is kill -9.
func (p *killable) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// ladder is what the program tells of a call.
func (p *killable) ladder(callID string) []byte {
	out, err := exec.Command(p.binary, "call", callID, "--api", "http://"+p.api).CombinedOutput()
	return fmt.Appendf(out, "%v", err)
}

// ledger is an application that writes down every event, and answers the first of a call with one of its documents.
type ledger struct {
	server *httptest.Server

	mu     sync.Mutex
	events map[string]map[string]map[string][]byte // by call, type and id: the body
	sip    map[string]string                       // SIP Call-ID to call
}

// documentsOfKills are what calls do; which one does not matter to the promises.
var documentsOfKills = []string{
	`<Refer referCompleteUrl="/referred"><SipUri>sip:bob@192.0.2.7</SipUri></Refer>`,
	`<Pause duration="1"/><Redirect redirectUrl="/next"/>`,
	`<Ring duration="1" answerCall="false"/><Refer referCompleteUrl="/referred"><SipUri>sip:bob@192.0.2.7</SipUri></Refer>`,
	`<Gather gatherUrl="/keys" firstDigitTimeout="1"/>`,
}

func newLedger() *ledger {
	l := &ledger{events: map[string]map[string]map[string][]byte{}, sip: map[string]string{}}
	l.server = httptest.NewServer(l)
	return l
}

// callOf returns the call with that SIP Call-ID.
func (l *ledger) callOf(sipCallID string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sip[sipCallID]
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e struct{ EventType, CallID, SIPCallID string }
	_ = json.Unmarshal(body, &e)
	id := r.Header.Get("Callengine-Event-Id")
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.events[e.CallID]
	if of == nil {
		of = map[string]map[string][]byte{}
		l.events[e.CallID] = of
	}
	if of[e.EventType] == nil {
		of[e.EventType] = map[string][]byte{}
	}
	if before, again := of[e.EventType][id]; again && !bytes.Equal(before, body) {
		of[e.EventType][id+" with another body"] = body
	}
	of[e.EventType][id] = body
	if e.SIPCallID != "" {
		l.sip[e.SIPCallID] = e.CallID
	}
	switch e.EventType {
	case "initiate":
		n := 0
		for _, c := range e.CallID {
			n += int(c)
		}
		_, _ = fmt.Fprint(w, response(documentsOfKills[n%len(documentsOfKills)]))
	case "referComplete", "redirect", "gather":
		_, _ = fmt.Fprint(w, response(`<Pause duration="0.5"/>`))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestNoCallIsLostToKills kills the program at random moments under load.
func TestNoCallIsLostToKills(t *testing.T) {
	app := newLedger()
	defer app.server.Close()
	p := newKillable(t, app.server.URL)
	p.start()
	node, err := net.ResolveUDPAddr("udp4", p.sip)
	require.NoError(t, err)
	var phones []*enduring
	for _, script := range []phoneScript{
		{notify: 200, after: 600 * time.Millisecond},
		{notify: 486, after: 300 * time.Millisecond},
		{refer: 405},
		{notify: 200, after: 900 * time.Millisecond, hangUpRefer: 400 * time.Millisecond},
		{notify: 200, after: 500 * time.Millisecond, early: true, hangUp: 1500 * time.Millisecond},
		{notify: 603, after: 200 * time.Millisecond, press: "12#", cancel: 500 * time.Millisecond},
	} {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		phones = append(phones, newEnduring(conn, node, script))
	}
	defer func() {
		for _, phone := range phones {
			phone.close()
		}
	}()

	stop, placed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(placed)
		every := time.NewTicker(time.Second / time.Duration(*killRate))
		defer every.Stop()
		for i := 0; ; i++ {
			select {
			case <-every.C:
				phones[i%len(phones)].call("desk")
			case <-stop:
				return
			}
		}
	}()
	var away []time.Duration
	for range max(*kills, 2) {
		// A moment like any other. On a machine that takes long to start it, it is not to be away most of the time.
		time.Sleep(200*time.Millisecond + rand.N(time.Second) + lastOf(away))
		if *kills == 0 {
			continue
		}
		p.kill()
		began := time.Now()
		p.start()
		away = append(away, time.Since(began))
	}
	close(stop)
	<-placed
	calls := 0
	for _, phone := range phones {
		phone.mu.Lock()
		calls += len(phone.lines)
		phone.mu.Unlock()
	}
	t.Logf("%d calls, %d kills; the program listened again after %v at most", calls, len(away), maxOf(away))
	// What a phone repeats it repeats for 32 s, and a Refer waits 30 s for its NOTIFY: of neither is much left to a program that
	// was away for a third of that.
	inTime := maxOf(away) < 10*time.Second
	requireOver(t, app, phones)
	told := 0
	for _, phone := range phones {
		phone.mu.Lock()
		for _, l := range phone.lines {
			if !l.judgeKilled(t, app, inTime) && told < 5 {
				told++
				t.Logf("%+v\n%s", *l, p.ladder(app.callOf(l.callID)))
			}
		}
		phone.mu.Unlock()
	}
	app.judge(t)
	if t.Failed() {
		text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		t.Logf("%s", text[max(0, len(text)-5000):])
	}
}

// BenchmarkRecoveryOfLiveCalls measures how long a program that was killed with 1,000 live calls takes to listen again.
func BenchmarkRecoveryOfLiveCalls(b *testing.B) {
	const calls = 1000
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, response(`<Pause duration="3600"/>`))
	}))
	defer app.Close()
	p := newKillable(b, app.URL)
	p.start()
	node, err := net.ResolveUDPAddr("udp4", p.sip)
	require.NoError(b, err)
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(b, err)
	phone := newEnduring(conn, node, phoneScript{})
	defer phone.close()
	for range calls {
		phone.call("desk")
		time.Sleep(5 * time.Millisecond)
	}
	require.Eventually(b, func() bool {
		phone.mu.Lock()
		defer phone.mu.Unlock()
		up := 0
		for _, l := range phone.lines {
			if l.answered && !l.over {
				up++
			}
		}
		return up == calls
	}, time.Minute, 50*time.Millisecond)
	time.Sleep(time.Second)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		p.kill()
		b.StartTimer()
		p.start()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/restart")
	if text, err := os.ReadFile(filepath.Join(p.dir, "log")); err == nil && testing.Verbose() {
		b.Logf("%s", text[max(0, len(text)-2000):])
	}
}

func lastOf(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1]
}

func maxOf(all []time.Duration) (most time.Duration) {
	for _, d := range all {
		most = max(most, d)
	}
	return most
}

// requireOver waits until no phone has a call any more, and all ends are told.
func requireOver(t *testing.T, app *ledger, phones []*enduring) {
	t.Helper()
	until := time.Now().Add(3 * time.Minute)
	for quiet := 0; quiet < 5; {
		time.Sleep(500 * time.Millisecond)
		left := 0
		for _, phone := range phones {
			phone.mu.Lock()
			for _, l := range phone.lines {
				if !l.over || len(l.waiting) > 0 {
					left++
				}
			}
			phone.mu.Unlock()
		}
		app.mu.Lock()
		for _, of := range app.events {
			if len(of["disconnect"]) == 0 {
				left++
			}
		}
		app.mu.Unlock()
		if quiet++; left > 0 {
			quiet = 0
		}
		if time.Now().After(until) {
			t.Errorf("%d calls are not over, or their end is not told", left)
			return
		}
	}
	time.Sleep(2 * time.Second) // for a second event of anything
}

// judgeKilled holds the promises to one call as its phone saw it; inTime: what the phone sent was not sent in vain.
func (l *line) judgeKilled(t *testing.T, app *ledger, inTime bool) bool {
	t.Helper()
	ok := assert.Empty(t, l.faults, l.callID)
	ok = assert.True(t, l.over, "%s is left up", l.callID) && ok
	ok = assert.LessOrEqual(t, len(l.refers), 1, "%s: one REFER", l.callID) && ok
	for _, code := range l.told {
		ok = assert.True(t, code == 200 || !inTime && (code == 0 || code == 481), "%s: a NOTIFY counts: %v", l.callID, l.told) && ok
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	id := app.sip[l.callID]
	if l.answered {
		ok = assert.NotEmpty(t, id, "%s: its end is told", l.callID) && ok
	}
	if len(l.refers) > 0 {
		ok = assert.Len(t, app.events[id]["referComplete"], 1, "%s, %s: one referComplete", l.callID, id) && ok
	}
	return ok
}

// judge holds the promises to what the application got.
func (l *ledger) judge(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.NotEmpty(t, l.events)
	for id, of := range l.events {
		assert.Len(t, of["disconnect"], 1, id)
		for eventType, ids := range of {
			assert.Len(t, ids, 1, "%s: %s", id, eventType)
		}
	}
}
