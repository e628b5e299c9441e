package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/transcripts"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// lostText is what it takes to tell of a text of a call whose process has ended. The archive keeps it as JSON beside what was
// heard so far.
type lostText struct {
	Call   webhook.Call              `json:"call"` // as it was when the transcription began
	Config verbs.TranscriptionConfig `json:"config"`
	Failed bool                      `json:"failed,omitempty"` // of one that was finished
}

func (l lostText) packed() json.RawMessage {
	b, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("node: a transcription does not marshal: %v", err)) // they are plain values
	}
	return b
}

// save keeps what was heard so far, in case that the process ends.
func (x *transcription) save() {
	if err := x.write(time.Now(), true, x.lost.packed()); err != nil {
		x.log.Warn("what was transcribed so far could not be kept", zap.String("call_id", x.callID), zap.String("transcription_id", x.cfg.ID), zap.Error(err))
	}
}

// told notes that whoever wants to know of the text does.
func (x *transcription) told(f verbs.FinishedTranscription) {
	if _, err := x.archive.Get(x.callID, x.cfg.ID); err != nil {
		return // it is deleted already
	}
	if err := x.write(f.Completed, false, nil); err != nil {
		x.log.Warn("that a transcription was told of could not be kept", zap.String("call_id", x.callID), zap.String("transcription_id", x.cfg.ID), zap.Error(err))
	}
}

// write writes the file of the text.
func (x *transcription) write(at time.Time, unfinished bool, lost json.RawMessage) error {
	x.turn <- struct{}{}
	defer func() { <-x.turn }()
	kept := transcripts.Transcription{
		ID: x.cfg.ID, CallID: x.callID, AccountID: x.accountID, Name: x.cfg.Name, Completed: at, Unfinished: unfinished, Lost: lost,
	}
	x.mu.Lock()
	for _, t := range x.tracks {
		text, confidence, language := summed(t.results)
		kept.Tracks = append(kept.Tracks, transcripts.Track{Name: t.name, Language: language, Text: text, Confidence: confidence})
	}
	x.mu.Unlock()
	return x.archive.Put(kept)
}

// tellLostTexts tells of the transcriptions that ended with the process before this one: each has what was heard until then.
func (n *Node) tellLostTexts(ctx context.Context) {
	for _, t := range n.scribe.archive.Lost() {
		log := n.log.With(zap.String("call_id", t.CallID), zap.String("transcription_id", t.ID))
		var lost lostText
		if err := json.Unmarshal(t.Lost, &lost); err != nil {
			log.Error("what is to be told of a transcription cannot be read", zap.Error(err))
			continue
		}
		if err := n.tellLostText(ctx, t, lost); err != nil {
			log.Error("the end of a transcription could not be told", zap.Error(err))
			continue // the next process tries again
		}
		unfinished := t.Unfinished
		t.Unfinished, t.Lost = false, nil
		if err := n.scribe.archive.Put(t); err != nil {
			log.Error("a transcription could not be kept", zap.Error(err))
		}
		if unfinished {
			n.metrics.transcription("live", "failed")
			log.Warn("a transcription has ended with the process: it has what was heard until then", zap.Duration("after", t.Completed.Sub(lost.Config.Begun)))
		}
	}
}

// tellLostText tells the application, unless it was told, and the journal, if there is one still.
func (n *Node) tellLostText(ctx context.Context, t transcripts.Transcription, lost lostText) error {
	journal, err := n.store.Journal(ctx, t.CallID)
	known := err == nil && len(journal) > 0
	call, cfg := lost.Call, lost.Config
	if record, err := n.store.Record(ctx, t.CallID); err == nil {
		call.Tag = record.Tag
	}
	about := webhook.RealTimeTranscription{
		ID: t.ID, Name: t.Name, StartTime: cfg.Begun, Tracks: cfg.Tracks, Destination: verbs.WithoutUser(cfg.Destination), Stabilized: cfg.Stabilized,
	}
	failed := t.Unfinished || lost.Failed
	const stopped, available = "realTimeTranscriptionStopped", "realTimeTranscriptionAvailable"
	if cfg.Events != nil && cfg.Destination != "" && t.Unfinished && !owedOf(journal, stopped, t.ID) {
		ended := about
		ended.Duration = t.Completed.Sub(cfg.Begun)
		if err := n.outbox.Send(ctx, *cfg.Events, webhook.NewRealTimeTranscriptionStopped(call, ended, "error", "the node was restarted")); err != nil {
			return err
		}
	}
	if cfg.Events != nil && !owedOf(journal, available, t.ID) {
		url := n.callURL(t.CallID) + "/transcriptions/" + t.ID
		if err := n.outbox.Send(ctx, *cfg.Events, webhook.NewRealTimeTranscriptionAvailable(call, about, url, t.Completed, !failed)); err != nil {
			return err
		}
	}
	if known && t.Unfinished {
		n.journal.note(state.Entry{CallID: t.CallID, Type: state.TypeMedia, Media: &state.Media{Event: state.MediaTextFailed, Detail: t.Name + ": the node was restarted"}})
	}
	return nil
}

// owedOf reports whether an event about a transcription is owed already, or was.
func owedOf(journal []state.Entry, eventType, id string) bool {
	for _, e := range journal {
		if w := e.Webhook; w != nil && w.Event == state.WebhookOwed && w.EventType == eventType && bytes.Contains(w.Owed, []byte(id)) {
			return true
		}
	}
	return false
}
