package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMessages writes them out, since others read them.
func TestMessages(t *testing.T) {
	m := Metadata{AccountID: "5", CallID: "c-1", StreamID: "s-1", Name: `a "b"`, Tracks: []Track{Inbound, Outbound}, Params: map[string]string{"k": "v"}}
	const rest = `"metadata":{"accountId":"5","callId":"c-1","streamId":"s-1","streamName":"a \"b\"","tracks":[` +
		`{"name":"inbound","mediaFormat":{"encoding":"PCMU","sampleRate":8000}},{"name":"outbound","mediaFormat":{"encoding":"PCMU","sampleRate":8000}}]}`
	assert.Equal(t, `{"eventType":"start",`+rest+`,"streamParams":{"k":"v"}}`, string(m.start()))
	assert.Equal(t, `{"eventType":"stop",`+rest+`}`, string(m.stop()))
	m.Params = nil
	assert.Equal(t, `{"eventType":"start",`+rest+`}`, string(m.start()))

	message := appendMedia(nil, Outbound, 12, []byte{0xFF, 0x7F, 0})
	assert.Equal(t, `{"eventType":"media","track":"outbound","sequenceNumber":12,"payload":"/38A"}`, string(message))
	assert.True(t, json.Valid(message))
}

// TestQueueCutsFrames of whatever length the packets of the call have.
func TestQueueCutsFrames(t *testing.T) {
	for _, length := range []int{80, 160, 240, 480, 7} {
		q := newQueue([]Track{Outbound, Inbound})
		in, out := make([]int16, length), make([]int16, length)
		at := 0
		for at < 3*frameLen {
			for i := range length {
				in[i], out[i] = int16(at), int16(-at)
				at++
			}
			q.put(in, out)
		}
		var f frame
		for number := uint64(1); number <= 3; number++ {
			<-q.ready
			require.True(t, q.pop(&f))
			q.ready <- struct{}{} // one token stands for all frames
			assert.Equal(t, number, f.number)
			for i := range frameLen {
				want := make([]byte, 2)
				sample := (int(number)-1)*frameLen + i
				media.EncodePCMU(want, []int16{int16(-sample), int16(sample)})
				require.Equal(t, want, []byte{f.tracks[0][i], f.tracks[1][i]}, "sample %d", sample)
			}
		}
		assert.Equal(t, at >= 4*frameLen, q.pop(&f))
	}
}

// TestQueueDropsTheOldest when nobody takes the frames, and never waits.
func TestQueueDropsTheOldest(t *testing.T) {
	q := newQueue([]Track{Inbound})
	pcm := make([]int16, frameLen)
	for range waiting + 7 {
		q.put(pcm, pcm)
	}
	assert.Equal(t, uint64(7), q.lost())
	assert.Zero(t, q.lost())
	var f frame
	for number := uint64(8); number <= waiting+7; number++ {
		require.True(t, q.pop(&f))
		assert.Equal(t, number, f.number)
	}
	assert.False(t, q.pop(&f))
}

func TestQueueAllocatesNothingPerFrame(t *testing.T) {
	q := newQueue([]Track{Inbound, Outbound})
	pcm := make([]int16, frameLen)
	q.put(pcm, pcm)
	var f frame
	message := make([]byte, 0, 400)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		q.put(pcm, pcm)
		q.pop(&f)
		message = appendMedia(message[:0], Inbound, f.number, f.tracks[0][:])
	}))
}

// session is the sound of a call: it plays as fast as its clock, and keeps what it has played.
type session struct {
	mu     sync.Mutex
	heard  []int16
	played int // sources
	closed bool
}

func (s *session) Listen(media.Listener) func() { return func() {} }

func (s *session) Play(ctx context.Context, src media.Source) error {
	defer context.AfterFunc(ctx, func() { _ = src.Close() })()
	s.mu.Lock()
	s.played++
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return media.ErrClosed
	}
	frame := make([]int16, frameLen)
	for {
		n, err := src.ReadFrame(frame)
		s.mu.Lock()
		s.heard = append(s.heard, frame[:n]...)
		s.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		time.Sleep(time.Duration(n) * time.Second / media.SampleRate)
	}
}

func (s *session) sources() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.played
}

func (s *session) sound() []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[:len(s.heard):len(s.heard)]
}

// sine is a second of a tone of 1000 Hz.
func sine(rate int) command {
	pcm := make([]int16, rate)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*1000*float64(i)/float64(rate)))
	}
	return command{pcm: pcm, rate: rate}
}

// frequency counts the zero crossings of a sound, in Hz.
func frequency(pcm []int16) int {
	crossings := 0
	for i := 1; i < len(pcm); i++ {
		if pcm[i-1] < 0 && pcm[i] >= 0 {
			crossings++
		}
	}
	return crossings * media.SampleRate / len(pcm)
}

// playing runs a player in a bubble.
func playing(t *testing.T, f func(t *testing.T, p *player, s *session)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		p, s := newPlayer(), &session{}
		var running sync.WaitGroup
		running.Go(func() { p.run(ctx, s) })
		f(t, p, s)
		end()
		running.Wait()
	})
}

func TestPlayerPlaysEveryRate(t *testing.T) {
	playing(t, func(t *testing.T, p *player, s *session) {
		for _, rate := range []int{8000, 16000, 24000, 8000} {
			require.True(t, p.add(sine(rate)))
		}
		time.Sleep(5 * time.Second)
		heard := s.sound()
		assert.InDelta(t, 4*media.SampleRate, len(heard), 200, "the filters run out")
		for i := range 4 {
			assert.InDelta(t, 1000, frequency(heard[i*8050+200:][:7600]), 5)
		}
		assert.Equal(t, 1, s.sources())
		assert.Zero(t, p.ahead)
	})
}

// TestPlayerWaitsForPiecesThatAreLate: they are one sound; what comes later is another.
func TestPlayerWaitsForPiecesThatAreLate(t *testing.T) {
	playing(t, func(t *testing.T, p *player, s *session) {
		piece := command{pcm: sine(8000).pcm[:160], rate: 8000}
		for range 20 {
			require.True(t, p.add(piece))
			time.Sleep(linger - 10*time.Millisecond)
		}
		synctest.Wait()
		assert.Equal(t, 1, s.sources())
		assert.Len(t, s.sound(), 20*160)
		time.Sleep(linger)
		require.True(t, p.add(piece))
		time.Sleep(time.Second)
		assert.Equal(t, 2, s.sources())
		assert.Len(t, s.sound(), 21*160)
	})
}

// TestPlayerClears what is played at once, and what waits; what comes after it is played.
func TestPlayerClears(t *testing.T) {
	playing(t, func(t *testing.T, p *player, s *session) {
		p.clear() // nothing
		require.True(t, p.add(sine(8000)))
		require.True(t, p.add(sine(16000)))
		time.Sleep(500 * time.Millisecond)
		p.clear()
		after := command{pcm: []int16{7, 7, 7}, rate: 8000}
		require.True(t, p.add(after))
		time.Sleep(3 * time.Second)
		heard := s.sound()
		assert.InDelta(t, media.SampleRate/2, len(heard), 2*160)
		assert.Equal(t, after.pcm, heard[len(heard)-3:])
		assert.Equal(t, 2, s.sources())
	})
}

// TestPlayerHoldsTwoMinutes, and refuses more until there is room.
func TestPlayerHoldsTwoMinutes(t *testing.T) {
	p := newPlayer()
	added := 0
	for p.add(sine(24000)) {
		added++
	}
	assert.Equal(t, 120, added)
	assert.True(t, p.add(command{rate: 8000}), "nothing has room")
	p.clear()
	assert.True(t, p.add(sine(24000)))
}

// TestPlayerEndsWithTheSession: nobody would hear it.
func TestPlayerEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlayer(), &session{closed: true}
		require.True(t, p.add(sine(8000)))
		p.run(t.Context(), s)
		assert.Empty(t, s.sound())
	})
}

// TestBudgetSlowsThoseDownWhoSendTooMuch, and nobody else.
func TestBudgetSlowsThoseDownWhoSendTooMuch(t *testing.T) {
	for name, tc := range map[string]struct {
		length, messages int
		every, took      time.Duration
	}{
		"speech as it is spoken":      {1000, 1000, 20 * time.Millisecond, 20 * time.Second},
		"a text's speech at once":     {maxMessage - perMessage, 8, 0, 0},
		"more than the reserve":       {maxMessage - perMessage, 18, 0, 10 * time.Second},
		"small messages, without end": {0, 18 << 10, 0, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b budget
				began := time.Now()
				for range tc.messages {
					require.NoError(t, b.spend(t.Context(), tc.length))
					time.Sleep(tc.every)
				}
				assert.InDelta(t, tc.took, time.Since(began), float64(5*time.Millisecond))
			})
		})
	}
	t.Run("the end of the stream", func(t *testing.T) {
		ctx, end := context.WithCancelCause(t.Context())
		end(errCleared)
		b := budget{spent: 2 * mostInStore, at: time.Now()}
		require.ErrorIs(t, b.spend(ctx, 0), errCleared)
	})
}
