package node

import (
	"sync"
	"time"

	"github.com/callengine/callengine/media/recording"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// take is a recording of a call, under way or over.
type take struct {
	keeper *keeper
	known  recordings.Recording // as it began
	wishes wishes
	sound  *recording.Recording // nil: it could not begin
	deafen func()               // ends the listening

	noting sync.Once // that it has ended
	mu     sync.Mutex
	paused bool
}

var _ verbs.Take = (*take)(nil)

// never is closed: of a recording that could not begin.
var never = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Ended implements [verbs.Take].
func (k *take) Ended() <-chan struct{} {
	if k.sound == nil {
		return never
	}
	return k.sound.Ended()
}

func (k *take) over() bool {
	select {
	case <-k.Ended():
		return true
	default:
		return false
	}
}

// beforeDigit is how much of the sound before a digit is taken off where one ends a recording: its tone may be heard in
// it, and is told of when it has been heard for a while.
const beforeDigit = 100 * time.Millisecond

// Stop implements [verbs.Take].
func (k *take) Stop(digit bool) webhook.Recording {
	if k.sound != nil && digit {
		k.sound.Cut(beforeDigit)
	}
	k.stop()
	r := webhook.Recording{
		ID: k.known.ID, MediaURL: k.keeper.mediaURL(&k.known), Start: k.known.StartTime, End: k.known.StartTime,
		Channels: k.known.Channels, Format: k.known.Format,
	}
	if k.sound != nil {
		r.End, r.Duration = k.sound.EndTime(), k.sound.Duration()
	}
	return r
}

// stop ends the recording, if it goes on.
func (k *take) stop() {
	if k.sound != nil {
		k.sound.Stop()
		k.deafen()
		k.noteEnd()
	}
}

// noteEnd journals the end.
func (k *take) noteEnd() {
	k.noting.Do(func() {
		k.note(state.Recording{Event: state.RecordingEnded, Millis: k.sound.Duration().Milliseconds()})
	})
}

func (k *take) pause(paused bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.paused == paused {
		return
	}
	k.paused = paused
	if paused {
		k.sound.Pause()
		k.note(state.Recording{Event: state.RecordingPaused})
	} else {
		k.sound.Resume()
		k.note(state.Recording{Event: state.RecordingResumed})
	}
}

func (k *take) note(r state.Recording) {
	r.ID = k.known.ID
	k.keeper.note(k.known.CallID, r)
}
