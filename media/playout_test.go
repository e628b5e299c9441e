package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inMemory is a source that never waits.
type inMemory struct{ Source }

func (inMemory) instant() bool { return true }

func (s inMemory) more() bool {
	r, ok := s.Source.(*ramp)
	return ok && r.at < r.length
}

// kindsOfSource are the ways in which the sender gets at the sound of a source.
var kindsOfSource = map[string]func(Source) Source{
	"read ahead": func(s Source) Source { return s },
	"in memory":  func(s Source) Source { return inMemory{s} },
}

// breaking has some samples, and then an error.
type breaking struct {
	ramp
	err error
}

func (b *breaking) ReadFrame(dst []int16) (int, error) {
	n, err := b.ramp.ReadFrame(dst)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestASourceInMemoryIsPlayedAsAnyOther(t *testing.T) {
	gone, broken := errors.New("gone"), errors.New("broken")
	for name, tc := range map[string]struct {
		source Source
		after  func(s *Session, end context.CancelCauseFunc) // half a second
		want   error
		took   time.Duration // from Play on, which comes 15 ms before a packet
	}{
		"to its end":                {&ramp{length: 50*160 + 10}, nil, nil, 1015 * time.Millisecond},
		"to the end of a frame":     {&ramp{length: 50 * 160}, nil, nil, 995 * time.Millisecond},
		"of one sample":             {&ramp{length: 1}, nil, nil, 15 * time.Millisecond},
		"until its context ends":    {Ringing(), func(_ *Session, end context.CancelCauseFunc) { end(gone) }, gone, 500 * time.Millisecond},
		"until the session is over": {Ringing(), func(s *Session, _ context.CancelCauseFunc) { _ = s.Close() }, ErrClosed, 500 * time.Millisecond},
		"that breaks at once":       {failing{broken}, nil, broken, -1},
		"that breaks":               {&breaking{ramp{length: 1000}, broken}, nil, broken, -1},
		"that has nothing":          {failing{nil}, nil, io.ErrNoProgress, -1},
	} {
		for kind, of := range kindsOfSource {
			if r, ok := tc.source.(*ramp); ok {
				r.at = 0
			}
			if b, ok := tc.source.(*breaking); ok {
				b.at = 0
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t)
					b.Configure(params())
					time.Sleep(5 * time.Millisecond)
					received(t, b.rtp)
					ctx, end := context.WithCancelCause(t.Context())
					defer end(nil)
					if tc.after != nil {
						time.AfterFunc(500*time.Millisecond, func() { tc.after(b.Session, end) })
					}
					start := time.Now()
					assert.ErrorIs(t, b.Play(ctx, of(tc.source)), tc.want)
					if tc.took < 0 {
						return
					}
					assert.Equal(t, tc.took, time.Since(start))
					packets, _ := received(t, b.rtp)
					if r, ok := tc.source.(*ramp); ok {
						require.Len(t, packets, (r.length+159)/160)
						for i, p := range packets {
							require.Equal(t, linearToMuLaw(rampSample(160*i)), p.Payload[0], "frame %d", i)
						}
						rest := packets[len(packets)-1].Payload[(r.length-1)%160:]
						assert.Equal(t, linearToMuLaw(rampSample(r.length-1)), rest[0])
						for _, v := range rest[1:] {
							assert.Equal(t, byte(0xFF), v, "the last frame is filled up with silence")
						}
					}
					time.Sleep(50 * time.Millisecond)
					after, _ := received(t, b.rtp)
					for _, p := range after {
						assert.Equal(t, byte(0xFF), p.Payload[0], "what was not heard yet is not heard later")
					}
				})
			})
		}
	}
}

func TestWhatHasComeWholeIsTakenByTheSenderItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := map[string]int{"/plain": 8000, "/another-rate": 16000, "/slow": 8000}
		e := audioEngine(t, func(r *http.Request) (*http.Response, error) {
			file := riff(-1, chunk("fmt ", -1, format(wavPCM, 1, rates[r.URL.Path], 16)...), chunk("data", -1, make([]byte, 16000)...))
			if r.URL.Path == "/slow" {
				return served(&trickle{r.Context(), time.Second, file, 1000}, "Cache-Control", "max-age=60"), nil
			}
			return served(bytes.NewReader(file), "Cache-Control", "max-age=60"), nil
		})
		for path, want := range map[string]bool{"/plain": true, "/another-rate": false, "/slow": false} {
			src, err := e.Fetch(t.Context(), "http://app.example.com"+path, nil)
			require.NoError(t, err)
			synctest.Wait() // until what comes at once has come
			assert.Equal(t, want, src.(instant).instant(), path)
			p := newPlayout(src)
			assert.Equal(t, want, p.ring == nil, path)
			if want {
				var pcm [160]int16
				assert.Equal(t, 160, p.take(pcm[:]))
			}
			require.NoError(t, src.Close())
		}
	})
}
