package node_test

import (
	"encoding/binary"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recordingIn keeps the recordings of a node in a folder.
func recordingIn(dir string) func(*node.Config) {
	return func(cfg *node.Config) { cfg.Recordings.Dir = dir }
}

// soundFile finds the one file of a format in an archive's folder.
func soundFile(t *testing.T, dir, format string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "r-*."+format))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// recordingEntries are those of a call's journal.
func (b *bubble) recordingEntries(e interface{ Text(string) string }) (events []string) {
	for _, entry := range b.journal(e) {
		if entry.Type == state.TypeRecording {
			events = append(events, entry.Recording.Event)
		}
	}
	return events
}

func TestRecordEndsAtADigitAndAsksForTheNextDocument(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		b.app.On("recordComplete", scenario.BXML(response(`<Hangup/>`)))
		c := b.call(response(`<Record recordCompleteUrl="/done" recordingAvailableUrl="/available" tag="mail"/><Tag>never</Tag>`))
		began := time.Now()
		time.Sleep(time.Second)
		c.SendTone(700, 2*time.Second)
		require.NoError(t, c.SendDigits(t.Context(), "1#", 100*time.Millisecond, 60*time.Millisecond))
		e := b.app.Expect("recordComplete").Check(map[string]any{
			"tag": "mail", "channels": 1, "fileFormat": "wav", "answerTime": scenario.Present, "recordingId": scenario.Present,
		})
		assert.Equal(t, "/done", e.Path)
		assert.Equal(t, e.Text("callUrl")+"/recordings/"+e.Text("recordingId")+"/media", e.Text("mediaUrl"))
		c.Expect("BYE")
		available := b.app.Expect("recordingAvailable").Check(map[string]any{
			"status": "complete", "recordingId": e.Text("recordingId"), "mediaUrl": e.Text("mediaUrl"), "duration": e.Text("duration"),
			"startTime": e.Text("startTime"), "endTime": e.Text("endTime"), "tag": "mail", "answerTime": scenario.Absent,
		})
		assert.Equal(t, "/available", available.Path)
		d := b.disconnect("hangup", "").Check(map[string]any{"tag": "mail"})
		assert.Equal(t, []string{"started", "ended", "available"}, b.recordingEntries(d))
		start, err := time.Parse(time.RFC3339, e.Text("startTime"))
		require.NoError(t, err)
		assert.WithinDuration(t, began, start, 20*time.Millisecond)
		path := soundFile(t, dir, "wav")
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		sounds(t, 3060*time.Millisecond, durationIn(t, e)) // up to the # less a tenth of a second
	})
}

// durationIn is the property "duration" of an event.
func durationIn(t *testing.T, e interface{ Text(string) string }) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(toGo(e.Text("duration")))
	require.NoError(t, err)
	return d
}

// toGo writes a duration of ISO 8601 in seconds as Go has it.
func toGo(iso string) string {
	return strings.ToLower(strings.TrimPrefix(iso, "PT"))
}

// put asks the node's HTTP side to change something.
func (b *bubble) put(path, body string) (status int) {
	b.t.Helper()
	return b.does(http.MethodPut, path, body)
}

func (b *bubble) does(method, path, body string) (status int) {
	b.t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: b.net.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.node.APIAddr().String()+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return res.StatusCode
}

// channels reads the samples of a WAV file of ours, by channel.
func channels(t *testing.T, wav []byte) (of [][]int16) {
	t.Helper()
	require.Greater(t, len(wav), 44)
	n := int(binary.LittleEndian.Uint16(wav[22:]))
	require.EqualValues(t, len(wav)-44, binary.LittleEndian.Uint32(wav[40:]))
	of = make([][]int16, n)
	for i := 44; i+2*n <= len(wav); i += 2 * n {
		for c := range n {
			of[c] = append(of[c], int16(binary.LittleEndian.Uint16(wav[i+2*c:])))
		}
	}
	return of
}

// spell is how much of a sound is a tone of a frequency, and when it begins.
func spell(samples []int16, hertz float64) (length, begins time.Duration) {
	const window = 80 // 10 ms
	begins = -1
	for at := 0; at+window <= len(samples); at += window {
		var re, im, all float64
		for i, v := range samples[at : at+window] {
			phase := 2 * math.Pi * hertz * float64(i) / media.SampleRate
			re, im, all = re+float64(v)*math.Cos(phase), im+float64(v)*math.Sin(phase), all+float64(v)*float64(v)
		}
		if all > window*1000*1000 && 2*(re*re+im*im)/window > 0.8*all {
			length += 10 * time.Millisecond
			if begins < 0 {
				begins = time.Duration(at) * time.Second / media.SampleRate
			}
		}
	}
	return length, begins
}

// near compares times in a file, where packets have their places, and what is missing is made up for a moment.
func near(t *testing.T, want, got time.Duration, what string) {
	t.Helper()
	assert.InDelta(t, want, got, float64(120*time.Millisecond), "%s: %v", what, got)
}

func TestBothSidesOfACallAreRecordedBehindTheVerbs(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording multiChannel="true" recordingAvailableUrl="/available" tag="taped"/>
			<Pause duration="1"/><SpeakSentence>Hello</SpeakSentence><StartRecording/><Pause duration="1"/><StopRecording/><StopRecording/><Pause duration="5"/>`))
		time.Sleep(500 * time.Millisecond)
		c.SendTone(700, 2*time.Second)
		e := b.app.Expect("recordingAvailable").Check(map[string]any{"channels": 2, "status": "complete", "tag": "taped"})
		near(t, 4*time.Second, durationIn(t, e), "all of it")
		status, body := b.get(strings.TrimPrefix(e.Text("mediaUrl"), "http://10.0.0.1:8088"))
		require.Equal(t, 200, status)
		sides := channels(t, []byte(body))
		require.Len(t, sides, 2)
		length, begins := spell(sides[0], 700)
		near(t, 2*time.Second, length, "what the caller says")
		near(t, 560*time.Millisecond, begins, "what the caller says")
		length, begins = spell(sides[1], toneOfSpeech)
		near(t, 2*time.Second, length, "what the caller hears")
		near(t, time.Second, begins, "what the caller hears")
		length, _ = spell(sides[0], toneOfSpeech)
		assert.Zero(t, length, "each side has its channel")
		c.Expect("BYE")
		assert.Equal(t, []string{"started", "ended", "available"}, b.recordingEntries(b.disconnect("hangup", "")))
	})
}

func TestARecordingIsPausedByVerbsAndByTheAPI(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		b.invite(response(`<PauseRecording/><ResumeRecording/><StopRecording/><StartRecording recordingAvailableUrl="/available"/><Pause duration="2"/>
			<PauseRecording/><Pause duration="3"/><ResumeRecording/><Pause duration="4"/><PauseRecording/><StopRecording/><Pause duration="10"/>`))
		time.Sleep(6 * time.Second) // a second of the last stretch
		id := b.app.EventsOf("initiate")[0].Text("callId")
		path := "/api/v2/accounts/5555555/calls/" + id + "/recording"
		assert.Equal(t, 200, b.put(path, `{"state":"paused"}`))
		assert.Equal(t, 200, b.put(path, `{"state":"paused"}`))
		time.Sleep(time.Second)
		assert.Equal(t, 200, b.put(path, `{"state":"recording"}`))
		e := b.app.Expect("recordingAvailable")
		near(t, 5*time.Second, durationIn(t, e), "without the pauses")
		assert.Equal(t, 404, b.put(path, `{"state":"paused"}`), "none is in progress any more")
		assert.Equal(t, []string{"started", "paused", "resumed", "paused", "resumed", "paused", "ended", "available"}, b.recordingEntries(b.disconnect("hangup", "")))
		_, body := b.get("/api/v2/accounts/5555555/calls/" + id + "/recordings")
		assert.Contains(t, body, `"status":"complete"`)
	})
}

func TestTheEndOfACallEndsItsRecordings(t *testing.T) {
	for name, tc := range map[string]struct {
		verb string
		end  func(c *scenario.ScriptedCall)
		tag  any
	}{
		"StartRecording, the caller hangs up": {`<StartRecording recordingAvailableUrl="/available"/><Tag>later</Tag><Pause duration="3600"/>`, func(c *scenario.ScriptedCall) { c.Bye() }, "later"},
		"StartRecording, the document ends":   {`<StartRecording recordingAvailableUrl="/available" tag="own"/><Tag>later</Tag><Pause duration="3"/>`, func(c *scenario.ScriptedCall) { c.Expect("BYE") }, "own"},
		"Record, the caller hangs up":         {`<Record recordCompleteUrl="/complete" recordingAvailableUrl="/available"/>`, func(c *scenario.ScriptedCall) { c.Bye() }, scenario.Absent},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, recordingIn(t.TempDir()), func(t *testing.T, b *bubble) {
				c := b.call(response(tc.verb))
				c.SendTone(700, 3*time.Second)
				tc.end(c)
				e := b.app.Expect("recordingAvailable").Check(map[string]any{"status": "complete"})
				sounds(t, 3*time.Second, durationIn(t, e))
				b.disconnect("hangup", "")
				b.ended()
				assert.Empty(t, b.app.EventsOf("recordComplete"), "the call is over")
			})
		})
	}
}

func TestRecordEndsWithoutADigit(t *testing.T) {
	for name, tc := range map[string]struct {
		attributes  string
		want, about time.Duration
	}{
		"after its longest duration": {`maxDuration="7" silenceTimeout="3"`, 7 * time.Second, 0},
		"when it is silent":          {`silenceTimeout="1.5"`, 4560 * time.Millisecond, 100 * time.Millisecond}, // what is heard is heard a little later
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, recordingIn(t.TempDir()), func(t *testing.T, b *bubble) {
				b.app.On("recordComplete", scenario.BXML(response(`<Hangup/>`)))
				c := b.call(response(`<Record recordCompleteUrl="/complete" ` + tc.attributes + `/>`))
				c.SendTone(700, 3*time.Second)
				if name == "after its longest duration" {
					c.SendTone(700, 3*time.Second)
				}
				e := b.app.Expect("recordComplete")
				assert.InDelta(t, tc.want, durationIn(t, e), float64(tc.about))
				b.disconnect("hangup", "")
				assert.Empty(t, b.app.EventsOf("recordingAvailable"), "nobody asked for it")
			})
		})
	}
}

func TestARecordingOfACallOnHoldIsSilent(t *testing.T) {
	inBubble(t, recordingIn(t.TempDir()), func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording multiChannel="true" recordingAvailableUrl="/available"/><Pause duration="6"/>`))
		c.SendTone(700, time.Second)
		c.Hold()
		time.Sleep(3 * time.Second)
		c.Resume()
		c.SendTone(700, time.Second)
		e := b.app.Expect("recordingAvailable")
		sounds(t, 6*time.Second, durationIn(t, e))
		_, body := b.get(strings.TrimPrefix(e.Text("mediaUrl"), "http://10.0.0.1:8088"))
		length, _ := spell(channels(t, []byte(body))[0], 700)
		near(t, 2*time.Second, length, "the sound before and after")
		b.disconnect("hangup", "")
	})
}

func TestARecordingThatCannotBeginCostsTheCallNothing(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600)) // where the folder should be
	inBubble(t, recordingIn(blocked), func(t *testing.T, b *bubble) {
		b.app.On("recordComplete", scenario.BXML(response(`<SpeakSentence>Thank you</SpeakSentence>`)))
		c := b.call(response(`<StartRecording recordingAvailableUrl="/first"/><Record recordCompleteUrl="/complete" recordingAvailableUrl="/second"/>`))
		b.app.Expect("recordComplete").Check(map[string]any{"duration": "PT0S"})
		for range 2 {
			b.app.Expect("recordingAvailable").Check(map[string]any{"status": "error", "mediaUrl": scenario.Absent, "duration": "PT0S"})
		}
		c.Expect("BYE")
		d := b.disconnect("hangup", "")
		assert.Len(t, b.recordingEntries(d), 4)
		assert.Equal(t, []string{"Thank you"}, b.speech.texts())
		assert.InDelta(t, 2, b.metrics()[`callengine_recordings_total{result="error"}`], 0)
		assert.Equal(t, 2, b.logs.FilterMessage("a recording could not begin").Len())
	})
}

func TestARecordingIsPlayedOnACall(t *testing.T) {
	inBubble(t, func(cfg *node.Config) {
		cfg.Recordings.Dir = t.TempDir()
		cfg.API.Username, cfg.API.Password = "ada", "lovelace" // which nobody needs for it
	}, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording recordingAvailableUrl="/available"/><Pause duration="2"/><StopRecording/>`))
		c.SendTone(700, 2*time.Second)
		address := b.app.Expect("recordingAvailable").Text("mediaUrl")
		c.Expect("BYE")
		b.disconnect("hangup", "")
		c = b.call(response(`<PlayAudio>` + address + `</PlayAudio>`))
		c.Expect("BYE")
		assert.InDelta(t, 2*time.Second, heard(c).Loud(), float64(100*time.Millisecond))
		b.disconnect("hangup", "")
		b.call(response(`<PlayAudio>` + strings.Replace(address, "/r-", "/r-9", 1) + `</PlayAudio>`))
		b.disconnect("application-error", "recording not found")
	})
}

func TestADeletedRecordingIsGone(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		c := b.call(response(`<Record maxDuration="2" recordingAvailableUrl="/available"/>`))
		e := b.app.Expect("recordingAvailable")
		path := strings.TrimSuffix(strings.TrimPrefix(e.Text("mediaUrl"), "http://10.0.0.1:8088"), "/media")
		assert.Equal(t, 204, b.does(http.MethodDelete, path+"/media", ""))
		status, body := b.get(path)
		assert.Equal(t, 200, status)
		assert.Contains(t, body, `"status":"deleted"`)
		assert.Equal(t, 204, b.does(http.MethodDelete, path, ""))
		status, _ = b.get(path)
		assert.Equal(t, 404, status)
		c.Expect("BYE")
		b.disconnect("hangup", "")
		synctest.Wait()
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		assert.Empty(t, found)
	})
}
