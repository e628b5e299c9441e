package scenario

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryPartOfTheFormatPassesAndFails runs, for each part, a scenario that goes as it expects, and the same one that
// expects otherwise.
func TestEveryPartOfTheFormatPassesAndFails(t *testing.T) {
	t.Parallel()
	const speaks = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\n"
	const waits = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence><Pause duration='1'/></Response>}\n"
	const refers = "application: {bxml: <Response><Refer><SipUri>sip:desk@pbx</SipUri></Refer></Response>}\n"
	const plays = "application:\n  bxml: <Response><PlayAudio>/a.wav</PlayAudio><SpeakSentence>Hello</SpeakSentence></Response>\n" +
		"  replies: {/a.wav: {tone: {hertz: 1000, time: 300ms}}}\n"
	const streams = "application: {bxml: \"<Response><StartStream name='x' destination='${websocket}/in'/><Pause duration='1'/></Response>\"}\n"
	for name, tc := range map[string]struct{ with, good, bad, want string }{
		"timer of transactions": {
			refers + "phone: [refer: none]\ntimers: {transaction: 2s}\n",
			"expect: {record: {refers: [{evidence: no-response}]}, order: [{sip: REFER}, {webhook: disconnect, after: 2s, within: 2s}]}",
			"expect: {order: [{sip: REFER}, {webhook: disconnect, after: 3s}]}",
			"s.yaml:4: webhook disconnect came after 2s, and must not come before 3s",
		},
		"timer of acknowledgements": {
			speaks + "call: {hold_ack: true}\ntimers: {transaction: 2s}\n",
			"expect: {order: [{timer: ack, event: fired}, {webhook: disconnect, with: {cause: error}}]}",
			"expect: {never: [{timer: ack, event: fired}]}",
			"s.yaml:4: timer ack fired must never come",
		},
		"timer of NOTIFYs": {
			refers + "phone: [refer: 202]\ntimers: {notify: 1s}\n",
			"expect: {record: {refers: [{evidence: notify-timeout}]}, anywhere: [{timer: refer.notify, event: fired}]}",
			"expect: {record: {refers: [{evidence: final-notify}]}}",
			"s.yaml:4: the record's refers [0] evidence is \"notify-timeout\", and must be \"final-notify\"",
		},
		"timer of webhooks": {
			"application: {replies: {initiate: {hang: true}}}\ntimers: {callback: 1s}\n",
			"expect: {order: [{webhook: initiate, reply: 0}, {webhook: disconnect, with: {cause: callback-error}, within: 1s}]}",
			"expect: {order: [{webhook: initiate, reply: 200}]}",
			"s.yaml:3: webhook initiate came, but the status of its reply is 0, and must be 200",
		},
		"timer of questions": {
			"application: {bxml: <Response><Pause duration='2'/></Response>}\ntimers: {keepalive: 600ms}\n",
			"expect: {anywhere: [{sip: OPTIONS, from: node, times: 3}]}",
			"expect: {anywhere: [{sip: OPTIONS, from: node, times: 2}]}",
			"s.yaml:3: OPTIONS from the node came 3 times, and must come twice",
		},
		"what is said": {
			"application: {bxml: <Response><Gather input='speech' gatherUrl='/said'/></Response>}\nphone: [wait: {verb: Gather}, {say: {text: yes please, time: 400ms}, delay: 200ms}]\n",
			"expect: {order: [{webhook: gather, with: {speech: {transcript: yes please, confidence: 0.9}}}]}",
			"expect: {order: [{webhook: gather, with: {speech: {transcript: no, confidence: 0.9}}}]}",
			"s.yaml:3: webhook gather came, but speech transcript is \"yes please\", and must be \"no\"",
		},
		"WebSockets and their sound": {
			streams + "phone: [{tone: {hertz: 700, time: 500ms}, delay: 100ms}]\n",
			"expect: {sockets: {/in: {times: 1, headers: {Authorization: {present: false}}, messages: [{eventType: start}, {eventType: stop}], tone: 700, at_least: 300ms}, /out: 0}}",
			"expect: {sockets: {/in: {tone: 800}}}",
			"s.yaml:3: of the WebSocket at /in the sound is no tone of 800 Hz",
		},
		"messages of WebSockets": {
			streams, "expect: {sockets: {/in: {messages: [{eventType: start, metadata: {streamName: x}}]}}}",
			"expect: {sockets: {/in: {messages: [{eventType: stop}, {eventType: start}]}}}",
			"s.yaml:2: of the WebSocket at /in a message is missing: it did not come",
		},
		"header fields of WebSockets": {
			streams, "expect: {sockets: {/in: {headers: {Upgrade: websocket}}}}", "expect: {sockets: {/in: {headers: {Authorization: {present: true}}}}}",
			"s.yaml:2: of the WebSocket at /in the Authorization is absent, and must be there",
		},
		"how much sound of WebSockets": {
			streams, "expect: {sockets: {/in: {track: outbound}}}", "expect: {sockets: {/in: {track: outbound, at_least: 1s}}}",
			"s.yaml:2: of the WebSocket at /in there was 0s of sound, and must be 1s at least",
		},
		"how many WebSockets": {
			streams, "expect: {sockets: {/in: 1}}", "expect: {sockets: {/in: 2}}", "s.yaml:2: 1 WebSocket at /in, and there must be 2 WebSockets",
		},
		"no WebSocket": {
			streams, "expect: {sockets: {/in: {}}}", "expect: {sockets: {/other: {}}}", "s.yaml:2: there was no WebSocket at /other",
		},
		"a WebSocket that is refused": {
			"application: {bxml: \"<Response><StartStream destination='${websocket}/in' streamEventUrl='/s'/><Pause duration='1'/></Response>\", replies: {/in: 403}}\n",
			"expect: {anywhere: [{webhook: mediaStreamRejected, with: {cause: connection-error}}], sockets: {/in: 0}}",
			"expect: {sockets: {/in: 1}}", "s.yaml:2: 0 WebSockets at /in, and there must be 1 WebSocket",
		},
		"a WebSocket that is closed": {
			"application: {bxml: \"<Response><StartStream name='x' destination='${websocket}/in'/><StopStream name='x' wait='true'/></Response>\", replies: {/in: {close: 700ms}}}\n",
			"expect: {order: [{verb: StopStream, event: ended, after: 600ms, within: 1s}]}", "expect: {order: [{verb: StopStream, event: ended, after: 2s}]}",
			"s.yaml:2: verb StopStream ended came after 700ms, and must not come before 2s",
		},
		"URI of a request": {
			refers + "call: {headers: {Contact: \"<${phone};x=1>\"}}\nphone: [refer: 603]\n",
			"expect: {anywhere: [{sip: REFER, uri: \"${phone};x=1\"}]}", "expect: {anywhere: [{sip: 100 INVITE, uri: {present: true}}]}",
			"s.yaml:4: 100 INVITE came, but its Request-URI is absent, and must be there",
		},
		"header fields that a reply wants": {
			"application: {replies: {initiate: [{when_headers: {Content-Type: {contains: json}, X-None: {present: false}}, bxml: <Response><Hangup/></Response>}, {status: 500}]}}\n",
			"expect: {verbs: [Hangup]}", "expect: {verbs: []}", "s.yaml:2: verbs: there were Hangup, and must be none",
		},
		"header fields that no request has": {
			"application: {replies: {initiate: [{when_headers: {X-None: here}, bxml: <Response><Hangup/></Response>}, {status: 500}]}}\n",
			"expect: {verbs: []}", "expect: {verbs: [Hangup]}", "s.yaml:2: verbs: there were none, and must be Hangup",
		},
		"length of speech": {
			speaks + "speech: {Hello: 2s}\n", "expect: {heard: {at_least: 2s, at_most: 2s}}", "expect: {heard: {at_most: 1s}}",
			"s.yaml:3: the phone heard 2s of sound, and must hear 1s at most",
		},
		"length of speech with markup": {
			"application: {bxml: <Response><SpeakSentence>A <emphasis>big</emphasis> cat &amp; dog</SpeakSentence></Response>}\nspeech: {A big cat & dog: 2s}\n",
			"expect: {heard: {at_least: 2s}}", "expect: {heard: {at_least: 3s}}",
			"s.yaml:3: the phone heard 2s of sound, and must hear 3s at least",
		},
		"tones in order": {
			plays, "expect: {heard: {tones: [1000, 440]}}", "expect: {heard: {tones: [440, 1000]}}",
			"s.yaml:4: the phone heard 1000 440 Hz, and must hear 440 1000 Hz",
		},
		"other tones": {
			plays, "expect: {heard: {tones: [1000, 440]}}", "expect: {heard: {tones: [440, 700]}}",
			"s.yaml:4: the phone heard 0 440 Hz, and must hear 440 700 Hz",
		},
		"sound of a part of the call": {
			plays,
			"expect: {heard: [{to: {verb: PlayAudio, event: ended}, tone: 1000, at_least: 280ms}, {from: {verb: SpeakSentence}, tone: 440}]}",
			"expect: {heard: [{from: {verb: SpeakSentence}, tone: 1000}]}",
			"s.yaml:4: what the phone heard from verb SpeakSentence is no tone of 1000 Hz",
		},
		"silence of a part of the call": {
			waits, "expect: {heard: {from: {verb: Pause}, silence: true}}",
			"expect: {heard: {from: {verb: SpeakSentence}, to: {verb: Pause}, tone: 1000}}",
			"s.yaml:2: what the phone heard from verb SpeakSentence to verb Pause is no tone of 1000 Hz",
		},
		"a part that does not come": {
			waits, "expect: {heard: {from: {verb: Pause}, silence: true}}",
			"expect: {heard: {from: {verb: Hangup}, silence: true}}",
			"s.yaml:2: verb Hangup did not come, from which the phone must hear something",
		},
		"calls to a destination": {
			refers + "phone: [transfer]\ndestinations: {desk: , spare: }\n",
			"expect: {called: {desk: {times: 1, headers: {Max-Forwards: 70}}, spare: 0}}", "expect: {called: {desk: 1, spare: 1}}",
			"s.yaml:4: spare was called never, and must be once",
		},
		"a destination that must not be called": {
			refers + "phone: [transfer]\ndestinations: {desk: , spare: }\n",
			"expect: {called: {spare: 0}}", "expect: {called: {desk: 0}}",
			"s.yaml:4: desk was called once, and must be never",
		},
		"how a destination is called": {
			refers + "phone: [transfer]\ndestinations: {desk: {answer: 486}}\n",
			"expect: {called: {desk: }}", "expect: {called: {desk: {headers: {Replaces: {present: true}}}}}",
			"s.yaml:4: the Replaces of the INVITE to desk is absent, and must be there",
		},
		"digits in INFO": {
			waits + "phone: [{digits: {digits: '1#', by: info}}]\n",
			"expect: {order: [{sip: INFO, body: {contains: Signal=1}}, {sip: INFO, body: {contains: 'Signal=#'}}], never: [{sip: INFO, body: {contains: Signal=2}}]}",
			"expect: {anywhere: [{sip: INFO, times: 3}]}",
			"s.yaml:3: INFO came twice, and must come 3 times",
		},
		"digits in RTP": {
			waits + "phone: [{digits: {digits: '1,A', length: 40ms, gap: 20ms}}, bye]\n",
			"expect: {never: [{sip: INFO}]}", "expect: {anywhere: [{sip: INFO}]}",
			"s.yaml:3: INFO did not come",
		},
		"compact header names": {
			refers + "call: {compact: true}\nphone: [{refer: 202}, {notify: 486}]\n",
			"expect: {anywhere: [{sip: NOTIFY, headers: {Event: refer}}], record: {refers: [{notifySipResponseCode: 486}]}}",
			"expect: {never: [{sip: NOTIFY, headers: {Event: refer}}]}",
			"s.yaml:4: NOTIFY must never come",
		},
		"what is no SIP": {
			waits + "phone: [{wait: 200 INVITE}, {raw: \"NOTIFY what\\n\\n\"}]\n",
			"expect: {verbs: [SpeakSentence, Pause]}", "expect: {verbs: [SpeakSentence]}",
			"s.yaml:3: verbs: there were SpeakSentence, Pause, and must be SpeakSentence",
		},
		"a condition on a property": {
			"application:\n  bxml: <Response><Redirect redirectUrl='/a' tag='x'/></Response>\n" +
				"  replies: {/a: [{when: {tag: y}, bxml: <Response><Ring duration='0.1'/></Response>}, {when: {tag: x, from: {matches: phone}}, bxml: <Response><Pause duration='1'/></Response>}]}\n",
			"expect: {verbs: [Redirect, Pause]}", "expect: {verbs: [Redirect, Ring]}",
			"s.yaml:4: verbs: there were Redirect, Pause, and must be Redirect, Ring",
		},
		"a reply with status, header and delay": {
			"application: {replies: {initiate: {delay: 300ms, status: 404, headers: {Content-Type: text/plain}, body: none}}}\n",
			"expect: {order: [{webhook: initiate, reply: 404}, {sip: 500 INVITE, after: 300ms}]}",
			"expect: {order: [{webhook: initiate, reply: 500}]}",
			"s.yaml:2: webhook initiate came, but the status of its reply is 404, and must be 500",
		},
		"waiting for the end of a verb": {
			"application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence><Pause duration='2'/></Response>}\nspeech: {Hello: 1s}\n" +
				"phone: [{wait: {verb: SpeakSentence, event: ended}}, {bye, delay: 500ms}]\n",
			"expect: {order: [{verb: SpeakSentence, event: ended}, {sip: BYE, from: phone, after: 490ms, within: 510ms}]}",
			"expect: {never: [{verb: Pause}]}",
			"s.yaml:4: verb Pause must never come",
		},
		"waiting for a sound": {
			plays + "phone: [{wait: {sound: Hello}}, bye]\n",
			"expect: {order: [{sound: Hello}, {sip: BYE, from: phone}]}", "expect: {never: [{sound: Hello}]}",
			"s.yaml:5: a sound must never come",
		},
		"waiting for the end of a sound": {
			plays + "phone: [{wait: {sound: {matches: wav$}, event: ended}}, bye]\n",
			"expect: {heard: {tone: 1000, at_least: 280ms}}", "expect: {heard: {tone: 440}}",
			"s.yaml:5: what the phone heard is no tone of 440 Hz",
		},
		"a tone that the phone sends": {
			waits + "phone: [{tone: {hertz: 500, time: 200ms}}, {silence: 100ms}, bye]\n",
			"expect: {order: [{sip: ACK}, {sip: BYE, from: phone, after: 300ms}]}",
			"expect: {order: [{sip: BYE, from: node}]}",
			"s.yaml:3: BYE from the node did not come",
		},
		"hanging up at a moment": {
			"application: {bxml: <Response><Pause duration='9'/></Response>}\nphone: [{bye, at: 700ms}]\n",
			"expect: {order: [{sip: BYE, from: phone, after: 700ms, within: 700ms}]}",
			"expect: {order: [{sip: BYE, from: phone, within: 600ms}]}",
			"s.yaml:3: BYE from the phone came after 700ms, and must come within 600ms",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, run := range []struct{ text, want string }{{tc.with + tc.good, ""}, {tc.with + tc.bad, tc.want}} {
				f, err := Parse("s.yaml", []byte(run.text))
				require.NoError(t, err)
				synctest.Test(t, func(t *testing.T) {
					assert.Equal(t, run.want, f.Run(t.Context(), RunOptions{Network: NewMemory()}).First())
				})
			}
		})
	}
}

func TestSoundFilesAreServedAndSentAsTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sound := writeWAV(append(sine(700, shortestSpeech), 0x7b24, 0x7d41)) // which reads as ${A}, and is no placeholder
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.wav"), sound, 0o600))
	path := filepath.Join(dir, "s.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
application:
  bxml: <Response><PlayAudio>/a.wav</PlayAudio></Response>
  replies: {/a.wav: a.wav}
phone: [audio: a.wav]
expect: {heard: {tone: 700}}
`), 0o600))
	f, err := Load(path)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) { went(t, f.Run(t.Context(), RunOptions{Network: NewMemory()})) })
}

func TestMistakesInTimersAndSound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"out of bounds":          {"timers: {transaction: 1m}", "s.yaml:1:9: transaction must be from 100ms to 32s"},
		"too short":              {"timers:\n  callback: 100ms\n", "s.yaml:2:3: callback must be from 1s to 25s"},
		"twice":                  {"timers: {notify: 1s}\nsettings: {refer.notify_timeout: 2s}", "s.yaml:1:9: settings have refer.notify_timeout, too: one of them is enough"},
		"not theirs":             {"timers: {callback: 1s}\nsettings: {applications: [{call_initiated_callback_url: '${app}'}]}", "s.yaml:1:9: callback goes with the scenario's own application, not with applications in settings: they have callback_timeout"},
		"unknown":                {"timers: {notfy: 1s}", "s.yaml:1:10: unknown key notfy; did you mean notify"},
		"no length":              {"speech: {Hello: long}", "s.yaml:1:17: must be a duration such as 500ms, 2s or 1m, not \"long\""},
		"no sentences":           {"speech: Hello", "s.yaml:1:9: must hold sentences and how long they are, text: 2s, not \"Hello\""},
		"silent and loud":        {"expect: {heard: {silence: true, tone: 440}}", "s.yaml:1:17: silence cannot stand with at_least, tone or tones"},
		"no destination":         {"destinations: {desk: }\nexpect: {called: {dsk: 1}}", "s.yaml:2:24: called: dsk is none of the destinations; did you mean desk"},
		"no tone":                {"expect: {heard: {tones: [440, 9000]}}", "s.yaml:1:25: a tone must be from 1 to 3900"},
		"two bodies":             {"application: {replies: {initiate: {tone: {hertz: 1, time: 1s}, body: x}}}", "s.yaml:1:35: tone cannot stand with body, bxml or file: one of them is enough"},
		"a key in a wrong place": {"phone: [{cancel: {delay: 1s}}, {bye: {at: 2s}}]", "s.yaml:1:19: unknown key delay; it stands beside the action: {bye, delay: 1s}\ns.yaml:1:39: unknown key at; it stands beside the action: {bye, at: 1s}"},
		"an answer that is none": {"phone: [refer: accepted]", "s.yaml:1:16: must be a status from 100 to 699, none or later, not \"accepted\""},
		"an event of nothing":    {"phone: [wait: {webhook: initiate, event: ended}]", "s.yaml:1:42: event goes with verb and sound"},
		"moment that is no key":  {"expect: {heard: {from: {vreb: Pause}}}", "s.yaml:1:25: unknown key vreb; did you mean verb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("s.yaml", []byte(tc.text))
			assert.EqualError(t, err, tc.want)
		})
	}
}
