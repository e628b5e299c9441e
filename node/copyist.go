package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/state/recordings"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// Limits of the recordings that are transcribed (docs/api.md), and of the time that may take.
const (
	tooShort = 500 * time.Millisecond
	tooLong  = 4 * time.Hour

	copyTime   = 10 * time.Minute
	copyFactor = 4 // of the recording's length, besides
)

// Statuses of the transcription of a recording.
const (
	textProcessing = "processing"
	textAvailable  = "available"
	textFailed     = "error"
	textTimeout    = "timeout"
	textTooBig     = "file-size-too-big"
	textTooSmall   = "file-size-too-small"
)

// textName is what the archive knows the text of a recording by.
const textName = "transcription"

// copyist turns recordings into text, one at a time: calls that are live come first.
type copyist struct {
	*scribe
	keeper *keeper
	turn   chan struct{} // holds a token: whoever has it transcribes
	under  sync.Map      // ids of the transcriptions that wait or are under way
}

// copyWish is what is left to do for a transcription: the wish, and the event that is about to be owed.
type copyWish struct {
	transcriptionWish
	Event *webhook.Event `json:"event,omitempty"`
}

func newCopyist(s *scribe, k *keeper) *copyist {
	c := &copyist{scribe: s, keeper: k, turn: make(chan struct{}, 1)}
	k.transcribe = c.take
	return c
}

// take takes charge of the transcription of a recording: from when it returns nil it is known as under way, and done even
// when the process ends meanwhile. One that is there already is made anew.
func (c *copyist) take(_ context.Context, r recordings.Recording, w transcriptionWish) error {
	packed, err := json.Marshal(copyWish{transcriptionWish: w})
	if err != nil {
		return err
	}
	t := &recordings.Transcription{ID: newID("t-"), Status: textProcessing, Wish: packed}
	err = c.keeper.archive.Update(r.CallID, r.ID, func(r *recordings.Recording) { r.Transcription = t })
	switch {
	case errors.Is(err, recordings.ErrNotFound):
		return nil // it is deleted
	case err != nil:
		return err
	}
	c.start(r, *t)
	return nil
}

// resume goes on with what another process has left.
func (c *copyist) resume() {
	for _, r := range c.keeper.archive.List(recordings.Query{}) {
		if t := r.Transcription; t != nil && len(t.Wish) > 0 {
			c.start(r, *t)
		}
	}
}

func (c *copyist) start(r recordings.Recording, t recordings.Transcription) {
	if _, already := c.under.LoadOrStore(t.ID, true); already {
		return
	}
	done := c.owed.begin()
	c.running.Go(func() {
		defer done()
		defer c.under.Delete(t.ID)
		select {
		case c.turn <- struct{}{}:
			defer func() { <-c.turn }()
		case <-c.life.Done():
			return // it is resumed by the next process
		}
		c.metrics.transcriptions.Inc()
		defer c.metrics.transcriptions.Dec()
		c.do(r, t)
	})
}

// do makes the text and tells of it.
func (c *copyist) do(r recordings.Recording, t recordings.Transcription) {
	log := c.log.With(zap.String("call_id", r.CallID), zap.String("recording_id", r.ID), zap.String("transcription_id", t.ID))
	var w copyWish
	if err := json.Unmarshal(t.Wish, &w); err != nil {
		log.Error("what is to be done for a transcription cannot be read", zap.Error(err))
		return
	}
	if t.Status == textProcessing {
		text, status, err := c.text(r, w.transcriptionWish)
		if c.life.Err() != nil {
			return // it is resumed by the next process
		}
		if err == nil && status == textAvailable {
			err = c.keeper.archive.Attach(r.CallID, r.ID, textName, text)
		}
		switch {
		case errors.Is(err, recordings.ErrNotFound):
			return
		case err != nil:
			log.Error("a recording could not be transcribed", zap.Error(err))
			if status = textFailed; errors.Is(err, transcribe.ErrSlow) {
				status = textTimeout
			}
		}
		t.Status, t.CompletedTime = status, time.Now()
		ev := c.event(r, t, w)
		w.Event = &ev
		c.counted(status)
		if !c.update(log, r, t, &w) {
			return
		}
	}
	if w.Available != nil && w.Event != nil {
		if err := c.keeper.outbox.Send(context.WithoutCancel(c.life), *w.Available, *w.Event); err != nil {
			log.Error("the event of a transcription could not be stored", zap.Error(err))
			return // the next process tries again
		}
	}
	c.update(log, r, t, nil)
}

func (c *copyist) counted(status string) {
	result := "failed"
	if status == textAvailable || status == textTooSmall || status == textTooBig {
		result = "available"
	}
	c.metrics.transcription("recording", result)
}

// update keeps what is known, unless the transcription was deleted or made anew meanwhile: then it is false.
func (c *copyist) update(log *zap.Logger, r recordings.Recording, t recordings.Transcription, w *copyWish) (still bool) {
	t.Wish = nil
	if w != nil {
		packed, err := json.Marshal(w)
		if err != nil {
			log.Error("a transcription could not be kept", zap.Error(err))
			return false
		}
		t.Wish = packed
	}
	err := c.keeper.archive.Update(r.CallID, r.ID, func(r *recordings.Recording) {
		if still = r.Transcription != nil && r.Transcription.ID == t.ID; still {
			r.Transcription = &t
		}
	})
	if err != nil && !errors.Is(err, recordings.ErrNotFound) {
		log.Error("a recording's description could not be written", zap.Error(err))
	}
	return still
}

// event tells of a transcription that is over.
func (c *copyist) event(r recordings.Recording, t recordings.Transcription, w copyWish) webhook.Event {
	tag, _ := c.keeper.tag(c.life, r, wishes{Tag: w.Tag})
	if w.Asked && w.Tag != nil {
		tag = *w.Tag
	}
	return webhook.NewTranscriptionAvailable(c.keeper.call(r, tag), c.keeper.properties(r), webhook.Transcription{
		ID: t.ID, URL: c.callURL(r.CallID) + "/recordings/" + r.ID + "/transcription", Status: t.Status, Completed: t.CompletedTime,
	})
}

// text makes the text of a recording: the body that the API answers with.
func (c *copyist) text(r recordings.Recording, w transcriptionWish) (text []byte, status string, err error) {
	switch {
	case r.Duration <= tooShort:
		return nil, textTooSmall, nil
	case r.Duration >= tooLong:
		return nil, textTooBig, nil
	}
	ctx, cancel := context.WithTimeoutCause(c.life, copyTime+copyFactor*r.Duration, transcribe.ErrSlow)
	defer cancel()
	speakers := r.Channels
	if r.Format == "mp3" {
		speakers = 1
	}
	view := api.RecordingText{Transcripts: []api.Transcript{}, Clips: []api.Clip{}}
	for speaker := range speakers {
		if err := c.speaker(ctx, r, w, speaker, &view); err != nil {
			return nil, textFailed, err
		}
	}
	text, err = json.Marshal(view)
	return text, textAvailable, err
}

// speaker adds the text of a channel.
func (c *copyist) speaker(ctx context.Context, r recordings.Recording, w transcriptionWish, speaker int, view *api.RecordingText) error {
	file, _, err := c.keeper.archive.Media(ctx, r.CallID, r.ID)
	if err != nil {
		return err
	}
	sound, err := media.OpenChannel(r.Format, file, speaker)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	defer sound.Close() // it was read
	var results []transcribe.Result
	o := transcribe.Options{DetectLanguage: w.DetectLanguage, CallID: r.CallID, Track: "recording"}
	err = c.transcribe(ctx, sound, o, func(r transcribe.Result) {
		if !r.Partial && r.Text != "" {
			results = append(results, r)
		}
	})
	if err != nil {
		return err
	}
	whole, confidence, _ := summed(results)
	view.Transcripts = append(view.Transcripts, api.Transcript{Speaker: speaker, Text: whole, Confidence: confidence})
	for _, r := range results {
		view.Clips = append(view.Clips, api.Clip{
			Speaker: speaker, Text: r.Text, Confidence: r.Confidence, Start: r.Start.Seconds(), End: r.End.Seconds(),
		})
	}
	return nil
}

var _ api.RecordingTexts = (*copyist)(nil)

// Text implements [api.RecordingTexts].
func (c *copyist) Text(callID, id string) ([]byte, error) {
	r, err := c.keeper.archive.Get(callID, id)
	if err != nil {
		return nil, err
	}
	if r.Transcription == nil || r.Transcription.Status != textAvailable {
		return nil, api.ErrNoText
	}
	text, err := c.keeper.archive.Attachment(callID, id, textName)
	if errors.Is(err, recordings.ErrNotFound) {
		err = api.ErrNoText
	}
	return text, err
}

// Request implements [api.RecordingTexts].
func (c *copyist) Request(callID, id string, want api.TextRequest) error {
	r, err := c.keeper.archive.Get(callID, id)
	if err != nil {
		return err
	}
	if !r.Available() {
		return recordings.ErrNoMedia
	}
	w := transcriptionWish{DetectLanguage: want.DetectLanguage, Tag: want.Tag, Asked: true}
	if want.URL != "" {
		w.Available = &webhook.Target{URL: want.URL, Method: want.Method, Auth: basicAuth(want.Username, want.Password), Timeout: want.Timeout}
	}
	return c.take(context.Background(), r, w)
}

// Forget implements [api.RecordingTexts].
func (c *copyist) Forget(callID, id string) error {
	had := false
	err := c.keeper.archive.Update(callID, id, func(r *recordings.Recording) {
		had = r.Transcription != nil
		r.Transcription = nil
	})
	switch {
	case err != nil:
		return err
	case !had:
		return api.ErrNoText
	}
	return c.keeper.archive.Detach(callID, id, textName)
}
