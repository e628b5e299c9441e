package scenario

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var hostPort = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// shape is what a journal says of a call, kind by kind, without times, ids and addresses. What happens at the same time
// may be written down in either order, so that each kind has its own list.
func shape(entries []state.Entry) map[state.Type][]string {
	kinds := map[state.Type][]string{}
	for _, e := range entries {
		var line string
		switch {
		case e.SIP != nil && (e.SIP.Method == "ACK" || e.SIP.Method == "BYE" && e.SIP.Code > 0):
			continue // of a call that is over when it comes
		case e.SIP != nil:
			kinds[state.TypeSIP+"/"+state.Type(e.SIP.Direction)] = append(kinds[state.TypeSIP+"/"+state.Type(e.SIP.Direction)],
				fmt.Sprint(e.SIP.Method, " ", e.SIP.Code))
			continue
		case e.Webhook != nil:
			line = fmt.Sprint(e.Webhook.Event, " ", e.Webhook.EventType, " ", e.Webhook.Status, e.Webhook.Attempt)
		case e.Document != nil:
			line = fmt.Sprint(e.Document.Verbs, e.Document.Error, e.Document.Warnings)
		case e.Verb != nil && e.Verb.Refer != nil:
			r := e.Verb.Refer
			kinds["refer"] = append(kinds["refer"], fmt.Sprint(r.Status, r.Evidence, r.Billable, r.ReferSIPResponseCode, r.NotifySIPResponseCode))
			continue
		case e.Verb != nil:
			line = fmt.Sprint(e.Verb.Event, " ", e.Verb.Name, " ", e.Verb.Next, e.Verb.Error)
		case e.Timer != nil && e.Timer.Name == "refer.notify" && e.Timer.Event != "fired":
			continue // it need not run for a NOTIFY that comes with the 202
		case e.Timer != nil && e.Timer.Name == "ack" && e.Timer.Event == "stopped":
			continue // by an ACK that may come when the call is over, too
		case e.Timer != nil:
			// Each timer has an order of its own: two that are told of by two goroutines have none.
			timer := state.TypeTimer + "/" + state.Type(e.Timer.Name)
			kinds[timer] = append(kinds[timer], fmt.Sprint(e.Timer.Event, " ", e.Timer.After))
			continue
		case e.Recording != nil: // its length is that of what the phone says, which is not exported
			r := e.Recording
			line = fmt.Sprint(r.Event, " ", r.Channels, " ", r.Format, " ", r.Status)
			if r.Event == state.RecordingAvailable {
				kinds["available"] = append(kinds["available"], line) // behind the call
				continue
			}
		case e.Call != nil:
			line = fmt.Sprint(e.Call.Event, " ", e.Call.Cause, " ", e.Call.ErrorMessage)
		case e.Media != nil:
			line = fmt.Sprint(e.Media.Event, " ", hostPort.ReplaceAllString(e.Media.Detail, ""))
			switch e.Media.Event {
			case state.MediaStreamed, state.MediaTranscribed, state.MediaTextAvailable, state.MediaTextFailed:
				kinds["behind"] = append(kinds["behind"], line) // the call
				continue
			}
		}
		kinds[e.Type] = append(kinds[e.Type], line)
	}
	slices.Sort(kinds[state.TypeSIP+"/in"]) // an ACK may overtake, or be overtaken
	slices.Sort(kinds[state.TypeWebhook])   // so may a referComplete and a disconnect
	if timer := kinds[state.TypeTimer+"/session"]; len(timer) > 0 && timer[len(timer)-1] == "stopped " {
		kinds[state.TypeTimer+"/session"] = timer[:len(timer)-1] // by the end of the call, behind it
	}
	kinds["refer"] = slices.Compact(kinds["refer"])
	return kinds
}

// replaysTheSame runs a scenario, exports what happened, runs that, and compares the journals.
func replaysTheSame(t *testing.T, f *File) {
	t.Helper()
	var first, second Result
	synctest.Test(t, func(t *testing.T) { first = f.Run(t.Context(), RunOptions{Network: NewMemory()}) })
	require.NoError(t, first.Err)
	text, err := Export(first.Journal())
	require.NoError(t, err)
	again, err := Parse("export.yaml", text)
	require.NoError(t, err, string(text))
	synctest.Test(t, func(t *testing.T) { second = again.Run(t.Context(), RunOptions{Network: NewMemory()}) })
	went(t, second)
	assert.Equal(t, shape(first.Journal()), shape(second.Journal()), string(text))
}

// TestADocumentIsExportedWithTheReplyThatItCameIn: the reply to an event that is owed may be noted between the two.
func TestADocumentIsExportedWithTheReplyThatItCameIn(t *testing.T) {
	t.Parallel()
	const record = "<Response><Record recordCompleteUrl='/done' recordingAvailableUrl='/available' maxDuration='1'/></Response>"
	f, err := Parse("s.yaml", []byte("application: {bxml: "+record+", replies: {recordComplete: <Response><Ring duration='1'/></Response>}}\n"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		journal := f.Run(t.Context(), RunOptions{Network: NewMemory()}).Journal()
		is := func(e state.Entry, event, eventType string) bool {
			return e.Webhook != nil && e.Webhook.Event == event && e.Webhook.EventType == eventType
		}
		var late, others []state.Entry // of the event that is owed, and all else
		for _, e := range journal {
			if is(e, state.WebhookOwed, "recordingAvailable") || is(e, state.WebhookReply, "recordingAvailable") {
				late = append(late, e)
			} else {
				others = append(others, e)
			}
		}
		require.Len(t, late, 2)
		at := slices.IndexFunc(others, func(e state.Entry) bool { return is(e, state.WebhookReply, "recordComplete") })
		require.Positive(t, at)
		text, err := Export(slices.Insert(others, at+1, late...))
		require.NoError(t, err)
		assert.Regexp(t, `recordComplete:\s+- status: 200\s+bxml: .*<Ring`, string(text))
	})
}

// notExported are those in which something matters that an export does not take over, and what that is.
var notExported = map[string]string{
	"call/codecs.yaml":                    "media.codecs",
	"call/keepalive.yaml":                 "an answer of the phone that is another one later",
	"call/no-offer.yaml":                  "codecs in the answer of an ACK",
	"call/vanished.yaml":                  "a phone that is there no more",
	"field/another-dialog.yaml":           "tags of NOTIFYs",
	"field/new-contact.yaml":              "Contact",
	"field/requests-while-pending.yaml":   "header fields of re-INVITEs",
	"refer/bye-and-notify.yaml":           "which of a BYE and a NOTIFY of one instant was handled first",
	"refer/clock-starts-at-202.yaml":      "when the REFER was answered",
	"refer/notify-order.yaml":             "a CSeq that is too low",
	"refer/tag.yaml":                      "the application's tag",
	"refer/target-not-allowed.yaml":       "refer.allow_targets that allow something",
	"refer/unreachable.yaml":              "Record-Route",
	"webhook/host-not-allowed.yaml":       "webhook.allow_hosts",
	"webhook/address-not-allowed.yaml":    "webhook.deny_cidrs",
	"refer/interrupted.yaml":              "drain_timeout",
	"verb/start-stream-refused.yaml":      "what a request for a WebSocket is answered",
	"verb/stop-stream-wait.yaml":          "when a WebSocket is closed by its other side",
	"webhook/nobody-listens.yaml":         "an application that is not there",
	"webhook/redirected-in-a-circle.yaml": "redirects that have no end",
}

// TestAnExportedCallReplaysToTheSameJournal holds for every scenario of the library without packets lost on the way.
func TestAnExportedCallReplaysToTheSameJournal(t *testing.T) {
	t.Parallel()
	for _, f := range loadLibrary(t) {
		name, _ := filepath.Rel(library, f.Path)
		if _, not := notExported[filepath.ToSlash(name)]; not || len(f.spec.Impairments) > 0 {
			continue // what happened to packets is in no journal
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replaysTheSame(t, f)
		})
	}
}

// TestEveryKindOfCallCanBeExported has a call for each thing that a journal tells only in part.
func TestEveryKindOfCallCanBeExported(t *testing.T) {
	t.Parallel()
	const own = "settings:\n  applications:\n  - id: application\n    call_initiated_callback_url: ${app}/initiate\n    call_status_callback_url: ${app}/status\n"
	const long = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence><Pause duration='1'/></Response>}\nspeech: {Hello: 4s}\n"
	for name, text := range map[string]string{
		"a long sentence":              long,
		"hung up in a long sentence":   long + "phone: [{bye, at: 2s}]\n",
		"hung up after it":             long + "phone: [{bye, at: 4500ms}]\n",
		"a sound file":                 "application: {bxml: '<Response><PlayAudio>${app}/a.wav</PlayAudio></Response>', replies: {/a.wav: {tone: {hertz: 700, time: 3s}}}}\nphone: [{bye, at: 1s}]\n",
		"two of them":                  "application: {bxml: <Response><PlayAudio>/a.wav</PlayAudio><PlayAudio>/b.wav</PlayAudio></Response>, replies: {/a.wav: {tone: {hertz: 700, time: 3s}}, /b.wav: {tone: {hertz: 300, time: 1s}}}}\n",
		"a sound file that is missing": "application: {bxml: <Response><PlayAudio>/a.wav</PlayAudio></Response>, replies: {/a.wav: 404}}\n",
		"ringing":                      "application: {bxml: <Response><Ring duration='2'/><Hangup/></Response>}\nphone: [{cancel, at: 1s}]\n",
		"a body that is no BXML":       "application: {replies: {initiate: {body: hello, headers: {Content-Type: text/plain}}}}\n",
		"a body that is no XML":        "application: {replies: {initiate: {body: '<Response><Hangup></Response>'}}}\n",
		"an unknown verb":              "application: {bxml: <Response><Hangpu/></Response>}\n",
		"no body":                      "application: {replies: {initiate: 204}}\n",
		"a verb that is only checked":  "application: {bxml: <Response><Bridge>c-1</Bridge></Response>}\n",
		"a webhook without an answer":  "application: {replies: {initiate: {hang: true}}}\ntimers: {callback: 2s}\n",
		"one that breaks off":          "application: {replies: {initiate: {drop: true}}}\n",
		"one that is slow":             "application: {replies: {initiate: {delay: 1500ms, bxml: <Response><Hangup/></Response>}}}\n",
		"one with an error":            "application: {replies: {initiate: 500}}\n",
		"one that is redirected":       "application: {replies: {/initiate: {redirect: '${app}/b'}, /b: <Response><Ring duration='1'/></Response>}}\n",
		"a fallback":                   own + "    call_initiated_fallback_url: ${app}/b\n    call_initiated_fallback_method: GET\napplication: {replies: {/initiate: 500, /b: <Response><Ring duration='1'/></Response>}}\n",
		"a fallback after a time-out":  own + "    call_initiated_fallback_url: ${app}/b\n    callback_timeout: 1s\napplication: {replies: {/initiate: {hang: true}, /b: <Response><Ring duration='1'/></Response>}}\n",
		"another method":               own + "    call_initiated_method: GET\n    call_status_method: GET\napplication: {bxml: <Response><Ring duration='1'/></Response>}\n",
		"nobody takes it":              "settings: {applications: []}\n",
		"a telephone call":             "settings: {sip.pstn_trunks: [127.0.0.0/8]}\ncall: {from: '+15550001'}\napplication: {bxml: <Response><Refer><SipUri>sip:a@b</SipUri></Refer></Response>}\n",
		"a target that is not allowed": "settings: {refer.allow_targets: [pbx]}\napplication: {bxml: <Response><Refer><SipUri>sip:a@b</SipUri></Refer></Response>}\n",
		"questions to the phone":       "timers: {keepalive: 700ms}\napplication: {bxml: <Response><Pause duration='2'/></Response>}\n",
		"a phone that is gone":         "timers: {keepalive: 700ms}\napplication: {bxml: <Response><Pause duration='20'/></Response>}\nphone: [{answers: {OPTIONS: 481}}]\n",
		"no codec in common":           "call: {sdp: \"v=0\\no=- 1 1 IN IP4 127.0.0.1\\ns=-\\nc=IN IP4 127.0.0.1\\nt=0 0\\nm=audio 4000 RTP/AVP 9\\n\"}\n",
		"an offer of the node's":       "call: {offer: none}\napplication: {bxml: <Response><Ring duration='1'/></Response>}\n",
		"digits":                       "application: {bxml: <Response><Pause duration='2'/></Response>}\nphone: [{digits: {digits: '12', by: info}}, {digits: '34'}, bye]\n",
		"digits for a Gather":          "application: {bxml: \"<Response><Gather gatherUrl='/b' repeatCount='2' terminatingDigits='#'><SpeakSentence>Hello</SpeakSentence><PlayAudio>/a.wav</PlayAudio></Gather></Response>\", replies: {/a.wav: {tone: {hertz: 700, time: 3s}}}}\nphone: [{digits: '12#', delay: 2s}]\n",
		"tones for a Gather":           "call: {no_events: true}\napplication: {bxml: \"<Response><Gather gatherUrl='/b' maxDigits='3'><SpeakSentence>Hello</SpeakSentence></Gather></Response>\"}\nspeech: {Hello: 4s}\nphone: [{digits: {digits: '1*1', by: tone}, delay: 1s}]\n",
		"a Gather without digits":      "application: {bxml: \"<Response><Gather gatherUrl='/b' repeatCount='2'><SpeakSentence>Hello</SpeakSentence><PlayAudio>/a.wav</PlayAudio></Gather></Response>\", replies: {/a.wav: {tone: {hertz: 700, time: 3s}}}}\n",
		"a prompt that is missing":     "application: {bxml: \"<Response><Gather><PlayAudio>/a.wav</PlayAudio></Gather></Response>\", replies: {/a.wav: 404}}\n",
		"digits that are sent":         "application: {bxml: \"<Response><SendDtmf>1w2</SendDtmf></Response>\"}\n",
		"no ACK":                       "call: {hold_ack: true}\ntimers: {transaction: 2s}\napplication: {bxml: <Response><Ring duration='1'/></Response>}\n",
		"a late ACK":                   "call: {hold_ack: true}\nphone: [{wait: 200 INVITE}, {ack, delay: 700ms}, {bye, delay: 100ms}]\napplication: {bxml: <Response><Ring duration='1'/></Response>}\n",
		"a tag":                        "application: {bxml: <Response><Tag>x y</Tag><Redirect redirectUrl='/b' tag='z'/></Response>, replies: {/b: <Response><Tag></Tag></Response>}}\n",
		"an event that is sent again":  "application: {bxml: <Response><Hangup/></Response>, replies: {disconnect: [503, 204]}}\n",
		"an OPTIONS and a hold":        "application: {bxml: <Response><Pause duration='2'/></Response>}\nphone: [options, hold, {resume, delay: 300ms}, {bye, delay: 300ms}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse("s.yaml", []byte(text))
			require.NoError(t, err)
			replaysTheSame(t, f)
		})
	}
}

func TestExportOfWhatIsNoCall(t *testing.T) {
	t.Parallel()
	_, err := Export(nil)
	assert.ErrorIs(t, err, ErrNoCall)
	_, err = Export([]state.Entry{{Seq: 1, Type: state.TypeCall, Call: &state.Call{Event: state.CallInitiated}}})
	assert.ErrorIs(t, err, ErrNoCall)
}

func TestExportOfACallThatIsNotOver(t *testing.T) {
	t.Parallel()
	f, err := Parse("s.yaml", []byte("application: {bxml: <Response><Pause/></Response>}\n"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		journal := f.Run(t.Context(), RunOptions{Network: NewMemory()}).Journal()
		end := slices.IndexFunc(journal, func(e state.Entry) bool { return e.Call != nil && e.Call.Event == state.CallEnded })
		require.Positive(t, end)
		_, err = Export(journal[:end])
		assert.ErrorIs(t, err, ErrNotOver)
		_, err = Export(journal)
		assert.NoError(t, err)
	})
}

func TestACallThatWasModifiedThroughTheAPIIsNotExported(t *testing.T) {
	t.Parallel()
	_, err := Export([]state.Entry{
		{Seq: 1, Type: state.TypeSIP, SIP: &state.SIP{Direction: "in", Method: "INVITE", Raw: "INVITE sip:desk@h SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: 1\r\n\r\n"}},
		{Seq: 2, Type: state.TypeCall, Call: &state.Call{Event: state.CallModified, Change: state.ChangeCompleted}},
	})
	assert.ErrorIs(t, err, ErrModified)
}
