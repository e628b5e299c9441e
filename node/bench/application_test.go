package bench_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// application is a small web application that refers every call.
type application struct {
	url      string
	document string
	sound    []byte       // at /sound.wav
	timed    bool         // the maps below are filled
	told     atomic.Int64 // disconnect events

	mu       sync.Mutex
	replied  map[string]time.Time // to initiate, by From
	complete map[string]time.Time // referComplete, by From
}

const referDocument = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Refer referCompleteUrl="/complete"><SipUri>sip:bob@example.com</SipUri></Refer></Response>`

func startApplication(b testing.TB, document string) *application {
	b.Helper()
	a := &application{document: document, replied: map[string]time.Time{}, complete: map[string]time.Time{}}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(b, err)
	a.url = "http://" + listener.Addr().String()
	server := &http.Server{Handler: a}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return a
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.URL.Path == "/sound.wav" {
		w.Header().Set("Content-Type", "audio/wav")
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(a.sound)
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case bytes.Contains(body, []byte(`"eventType":"disconnect"`)):
		a.told.Add(1)
		w.WriteHeader(http.StatusNoContent)
	case bytes.Contains(body, []byte(`"eventType":"referComplete"`)):
		a.note(a.complete, a.caller(body), now)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/xml")
		from := a.caller(body)
		a.note(a.replied, from, time.Now())
		_, _ = io.WriteString(w, a.document)
	}
}

// caller reads who calls, if times are wanted: under load the benchmark computes as little as it can.
func (a *application) caller(body []byte) string {
	var event struct{ From string }
	if a.timed {
		_ = json.Unmarshal(body, &event)
	}
	return event.From
}

// note writes down when something of a call happened, if times are wanted.
func (a *application) note(times map[string]time.Time, from string, at time.Time) {
	if !a.timed {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	times[from] = at
}

// settle waits until the ends of calls have been told.
func (a *application) settle(b testing.TB, calls int) {
	b.Helper()
	require.Eventually(b, func() bool { return a.told.Load() >= int64(calls) }, 20*time.Second, 10*time.Millisecond)
}

// tone is a WAV file: 16 bits, one channel, 8000 samples a second.
func tone(d time.Duration) []byte {
	samples := int(d.Seconds() * 8000)
	file := []byte("RIFF....WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data....")
	binary.LittleEndian.PutUint32(file[4:], uint32(36+2*samples))
	binary.LittleEndian.PutUint32(file[40:], uint32(2*samples))
	for i := range samples {
		v := int16(8000 * math.Sin(2*math.Pi*440*float64(i)/8000))
		file = append(file, byte(v), byte(v>>8))
	}
	return file
}
