package node

import (
	"sync"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// takes are the recordings of a call.
type takes struct {
	callID string
	keeper *keeper
	listen func(media.Listener) (stop func())

	mu         sync.Mutex
	all        []*take // that were begun
	background *take   // of StartRecording; nil: there is none
	over       bool    // the call's sound is over
}

var _ interpreter.Recorder = (*takes)(nil)

// Record implements [interpreter.Recorder].
func (t *takes) Record(c webhook.Call, r verbs.Recording) verbs.Take {
	return t.begin(c, r, false)
}

// StartRecording implements [interpreter.Recorder].
func (t *takes) StartRecording(c webhook.Call, r verbs.Recording) {
	if t.current() != nil {
		return
	}
	k := t.begin(c, r, true)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.background = k
}

func (t *takes) begin(c webhook.Call, r verbs.Recording, background bool) *take {
	k := t.keeper.begin(c, r, background, t.listen)
	t.mu.Lock()
	t.all = append(t.all, k)
	over := t.over
	t.mu.Unlock()
	if over {
		k.stop()
	}
	return k
}

// current returns the recording of StartRecording; nil: none is under way.
func (t *takes) current() *take {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.background == nil || t.background.over() {
		return nil
	}
	return t.background
}

// StopRecording implements [interpreter.Recorder].
func (t *takes) StopRecording() {
	if k := t.current(); k != nil {
		k.stop()
	}
}

// PauseRecording implements [interpreter.Recorder].
func (t *takes) PauseRecording() { t.pause(true) }

// ResumeRecording implements [interpreter.Recorder].
func (t *takes) ResumeRecording() { t.pause(false) }

// pause pauses the recording of StartRecording or goes on with it; false: there is none. It may be called by any goroutine.
func (t *takes) pause(paused bool) bool {
	k := t.current()
	if k != nil {
		k.pause(paused)
	}
	return k != nil
}

// end ends all recordings: the call's sound is over. It may be called by any goroutine, and does not wait.
func (t *takes) end() {
	t.mu.Lock()
	all := t.all
	t.over = true
	t.mu.Unlock()
	for _, k := range all {
		k.stop()
	}
}
