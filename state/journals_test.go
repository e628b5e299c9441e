package state

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		victim(dir)
	}
	goleak.VerifyTestMain(m)
}

// golden compares text with testdata/golden/<name>.golden.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "testdata", "golden", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

const testCall = "c-5a1f0b7e-20c41d93-7f3e-4c58-9a11-0d6be2f41c77"

// began is when the calls of these tests begin.
var began = time.Date(2026, 3, 2, 14, 5, 4, 120_000_000, time.UTC)

// scribe writes a journal by hand.
type scribe struct {
	callID  string
	entries []Entry
}

func (s *scribe) add(millis int, e Entry) {
	e.CallID, e.Seq = s.callID, uint64(len(s.entries))+1
	e.Time = began.Add(time.Duration(millis) * time.Millisecond)
	s.entries = append(s.entries, e)
}

// sip adds a message; "\n" stands for CRLF. Requests are told by their first word.
func (s *scribe) sip(millis int, direction, method string, cseq uint32, raw string) {
	m := &SIP{
		Direction: direction, Transport: "udp", Local: "192.0.2.10:5060", Remote: "192.0.2.77:5062",
		Method: method, CSeq: cseq, Raw: strings.ReplaceAll(raw, "\n", "\r\n"),
	}
	if strings.HasPrefix(raw, "SIP/2.0 ") {
		_, err := fmt.Sscanf(raw, "SIP/2.0 %d", &m.Code)
		if err != nil {
			panic(err)
		}
		first, _, _ := strings.Cut(raw, "\n")
		m.Reason = first[len("SIP/2.0 200 "):]
	}
	s.add(millis, Entry{Type: TypeSIP, SIP: m})
}

func (s *scribe) call(millis int, c Call) { s.add(millis, Entry{Type: TypeCall, Call: &c}) }

func (s *scribe) verb(millis int, v Verb) { s.add(millis, Entry{Type: TypeVerb, Verb: &v}) }

func (s *scribe) refer(millis int, r Refer) {
	s.verb(millis, Verb{Event: VerbProgress, Name: "Refer", Refer: &r})
}

func (s *scribe) media(millis int, event, detail string) {
	s.add(millis, Entry{Type: TypeMedia, Media: &Media{Event: event, Detail: detail}})
}

func (s *scribe) digit(millis int, key, by string) {
	s.add(millis, Entry{Type: TypeDigit, Digit: &Digit{Digit: key, By: by}})
}

func (s *scribe) document(millis int, d Document) {
	s.add(millis, Entry{Type: TypeDocument, Document: &d})
}

func (s *scribe) timer(millis int, name, event, after string) {
	s.add(millis, Entry{Type: TypeTimer, Timer: &Timer{Name: name, Event: event, After: after}})
}

func (s *scribe) webhook(millis int, w Webhook) { s.add(millis, Entry{Type: TypeWebhook, Webhook: &w}) }

// exchange adds an event's HTTP request and its reply.
func (s *scribe) exchange(millis, took int, event, url string, status int) {
	w := Webhook{Event: WebhookRequest, EventID: "id-" + event, EventType: event, Method: "POST", URL: url, Attempt: 1}
	w.Body = json.RawMessage(`{"eventType":"` + event + `"}`)
	s.webhook(millis, w)
	w.Event, w.Body, w.Status, w.Millis = WebhookReply, nil, status, int64(took)
	s.webhook(millis+took, w)
}

func after(millis int) *time.Time {
	t := began.Add(time.Duration(millis) * time.Millisecond)
	return &t
}

const headers = "\nVia: SIP/2.0/UDP 192.0.2.77:5062;branch=z9hG4bK1\nCall-ID: 7f2c9d1e44b0@caller.example.com\n"

// failingAndRecovering is a call whose Refer is accepted, found busy, and followed by speech.
func failingAndRecovering() []Entry {
	s := &scribe{callID: testCall}
	s.sip(0, "in", "INVITE", 1, "INVITE sip:front-desk@sip.example.com SIP/2.0"+headers+"Content-Type: application/sdp\n\nv=0\no=- 1 1 IN IP4 192.0.2.77\n")
	s.sip(0, "out", "INVITE", 1, "SIP/2.0 100 Trying"+headers+"\n")
	s.call(1, Call{
		Event: CallInitiated, AccountID: "5500001", ApplicationID: "0f6f3a52-7c1d-4b7e-9a58-2d1f6c0b9e44",
		From: "sip:alice@caller.example.com", To: "sip:front-desk@sip.example.com", Direction: "inbound",
		SIPCallID: "7f2c9d1e44b0@caller.example.com", At: began,
	})
	s.exchange(1, 13, "initiate", "https://app.example.com/initiate", 200)
	s.document(15, Document{
		URL:   "https://app.example.com/initiate",
		Body:  `<Response><Refer referCompleteUrl="/referred" tag="sales"><SipUri>sip:sales@192.0.2.99</SipUri></Refer></Response>`,
		Verbs: []string{"Refer"},
	})
	tag := "sales"
	s.verb(15, Verb{Event: VerbStarted, Name: "Refer", Line: 1, Column: 11})
	s.call(15, Call{Event: CallTagged, Tag: &tag})
	s.sip(16, "out", "INVITE", 1, "SIP/2.0 200 OK"+headers+"Content-Type: application/sdp\n\nv=0\no=- 7 7 IN IP4 192.0.2.10\n")
	s.sip(24, "in", "ACK", 1, "ACK sip:192.0.2.10:5060 SIP/2.0"+headers+"\n")
	s.call(24, Call{Event: CallAnswered})
	s.media(24, "agreed", "PCMU, telephone-event, 192.0.2.77:40002")
	s.sip(25, "out", "REFER", 100, "REFER sip:alice@192.0.2.77:5062 SIP/2.0"+headers+"Refer-To: <sip:sales@192.0.2.99>\nReferred-By: <sip:front-desk@sip.example.com>\n\n")
	refer := Refer{ID: "100", Target: "sip:sales@192.0.2.99", SentTime: *after(25), Status: ReferPending}
	s.refer(25, refer)
	s.sip(31, "in", "REFER", 100, "SIP/2.0 202 Accepted"+headers+"\n")
	refer.AcceptedTime, refer.ReferSIPResponseCode = after(31), 202
	s.refer(31, refer)
	s.timer(31, "refer.notify", "started", "30s")
	s.sip(40, "in", "NOTIFY", 2, "NOTIFY sip:192.0.2.10:5060 SIP/2.0"+headers+"Event: refer;id=100\nSubscription-State: active;expires=60\nContent-Type: message/sipfrag\n\nSIP/2.0 100 Trying\n")
	s.sip(40, "out", "NOTIFY", 2, "SIP/2.0 200 OK"+headers+"CSeq: 2 NOTIFY\n\n")
	s.refer(40, refer)
	final := "NOTIFY sip:192.0.2.10:5060 SIP/2.0" + headers + "Event: refer;id=100\nSubscription-State: terminated;reason=noresource\nContent-Type: message/sipfrag\n\nSIP/2.0 486 Busy Here\n"
	s.sip(2212, "in", "NOTIFY", 3, final)
	s.sip(2212, "out", "NOTIFY", 3, "SIP/2.0 200 OK"+headers+"CSeq: 3 NOTIFY\n\n")
	s.timer(2212, "refer.notify", "stopped", "")
	refer.EndTime, refer.NotifySIPResponseCode, refer.Status, refer.Evidence = after(2212), 486, ReferFailure, "final-notify"
	s.refer(2212, refer)
	s.exchange(2213, 9, "referComplete", "https://app.example.com/referred", 200)
	s.verb(2222, Verb{Event: VerbEnded, Name: "Refer", Line: 1, Column: 11, Next: "new document"})
	s.document(2223, Document{
		URL:   "https://app.example.com/referred",
		Body:  `<Response><SpeakSentence>All agents are busy. Please call again.</SpeakSentence><Hangup/></Response>`,
		Verbs: []string{"SpeakSentence", "Hangup"},
	})
	s.verb(2223, Verb{Event: VerbStarted, Name: "SpeakSentence", Line: 1, Column: 11})
	s.media(2241, "playing", "SpeakSentence")
	s.media(5120, "played", "SpeakSentence")
	s.verb(5120, Verb{Event: VerbEnded, Name: "SpeakSentence", Line: 1, Column: 11, Next: "next verb"})
	s.verb(5120, Verb{Event: VerbStarted, Name: "Hangup", Line: 1, Column: 82})
	s.verb(5120, Verb{Event: VerbEnded, Name: "Hangup", Line: 1, Column: 82, Next: "end"})
	s.sip(5121, "out", "BYE", 101, "BYE sip:alice@192.0.2.77:5062 SIP/2.0"+headers+"CSeq: 101 BYE\n\n")
	s.sip(5128, "in", "BYE", 101, "SIP/2.0 200 OK"+headers+"CSeq: 101 BYE\n\n")
	s.call(5128, Call{Event: CallEnded, Cause: "hangup", At: *after(5121)})
	s.webhook(5129, Webhook{
		Event: WebhookOwed, EventID: "id-disconnect", EventType: "disconnect", Method: "POST", URL: "https://app.example.com/status",
		Owed: json.RawMessage(`{"id":"id-disconnect","type":"disconnect","target":{"url":"https://app.example.com/status","auth":{"username":"u","password":"p"}}}`),
	})
	s.exchange(5129, 6, "disconnect", "https://app.example.com/status", 204)
	s.webhook(5135, Webhook{Event: WebhookDelivered, EventID: "id-disconnect", EventType: "disconnect", OwedSeq: 40})
	return s.entries
}
