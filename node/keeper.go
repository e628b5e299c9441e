package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/recording"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
	"github.com/callengine/callengine/state/recordings/s3"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// keeper joins the recordings under way, the archive that keeps them, and the events about them.
type keeper struct {
	archive *recordings.Archive
	store   state.Store
	journal *journal
	outbox  *webhook.Outbox
	metrics *metrics
	log     *zap.Logger
	callURL func(id string) string
	writing errands // recordings whose file is not closed yet

	// transcribe takes charge of the transcription of a recording that can be had. An error is tried again later.
	transcribe func(context.Context, recordings.Recording, transcriptionWish) error
}

// wishes are what is to be done for a recording once it can be had. The archive keeps them as JSON.
type wishes struct {
	Available *webhook.Target `json:"available,omitempty"` // where recordingAvailable goes; nil: nowhere
	Event     *webhook.Event  `json:"event,omitempty"`     // that is about to be owed, so that it is the same one after a crash
	Tag       *string         `json:"tag,omitempty"`       // that the verb gave the call
	LastTag   string          `json:"lastTag,omitempty"`   // that the call had when the recording began

	Transcription *transcriptionWish `json:"transcription,omitempty"` // nil: it is not to be transcribed
}

// transcriptionWish says how a recording is to be transcribed, and who is told.
type transcriptionWish struct {
	DetectLanguage bool            `json:"detectLanguage,omitempty"`
	Available      *webhook.Target `json:"available,omitempty"` // where transcriptionAvailable goes; nil: nowhere
	Tag            *string         `json:"tag,omitempty"`
	Asked          bool            `json:"asked,omitempty"` // through the API: the tag is that of the event
}

func newKeeper(n *Node, store *s3.Store) *keeper {
	k := &keeper{
		store: n.store, journal: n.journal, outbox: n.outbox, metrics: n.metrics, log: n.log, callURL: n.callURL,
	}
	opts := []recordings.Option{
		recordings.WithLogger(n.log), recordings.WithSettle(k.settle), recordings.WithCounter(n.metrics.upload),
		recordings.WithRepair(func(path, format string, channels int) (time.Duration, error) {
			return recording.Repair(path, recording.Format(format), channels)
		}),
	}
	if store != nil {
		opts = append(opts, recordings.WithStore(store))
	}
	k.archive = recordings.New(recordings.Config{Dir: n.cfg.Recordings.Dir, Retention: n.cfg.Recordings.Retention}, opts...)
	return k
}

// idle waits until nothing is to be done for any recording, or ctx ends, and returns for how many there is. Those of calls that
// are over alone end.
func (k *keeper) idle(ctx context.Context) (left int) {
	return k.writing.wait(ctx) + k.archive.Idle(ctx)
}

// close returns when the files of all recordings are closed, which are over, and what the archive was at has ended.
func (k *keeper) close() {
	k.writing.wait(context.Background())
	k.archive.Close()
}

// mediaURL is where a recording's sound is fetched.
func (k *keeper) mediaURL(r *recordings.Recording) string {
	return k.callURL(r.CallID) + "/recordings/" + r.ID + "/media"
}

// begin begins a recording: of both sides, in the background, or of the other side alone.
func (k *keeper) begin(c webhook.Call, r verbs.Recording, background bool, listen func(media.Listener) (stop func())) *take {
	t := &take{keeper: k, known: recordings.Recording{
		ID: newID("r-"), CallID: c.CallID, AccountID: c.AccountID, ApplicationID: c.ApplicationID,
		From: c.From, To: c.To, Direction: string(c.Direction),
		Format: r.Format, Channels: 1, StartTime: time.Now(),
	}, wishes: wishes{Available: r.Available, Tag: r.Tag, LastTag: c.Tag}}
	if r.Transcribe {
		t.wishes.Transcription = &transcriptionWish{DetectLanguage: r.DetectLanguage, Available: r.Transcribed, Tag: r.Tag}
	}
	if background && r.MultiChannel {
		t.known.Channels = 2
	}
	t.known.Wishes = t.wishes.packed()
	k.metrics.recordingsActive.Inc()
	t.note(state.Recording{Event: state.RecordingStarted, Format: t.known.Format, Channels: t.known.Channels})
	file, err := k.archive.Begin(t.known)
	if err != nil {
		k.lost(t, err)
		return t
	}
	closed := k.writing.begin()
	t.sound = recording.Start(recording.Spec{
		Format: recording.Format(r.Format), Channels: t.known.Channels, InOnly: !background, Longest: r.Longest, Silence: r.Silence,
	}, file, func(res recording.Result) {
		defer closed()
		k.recorded(t, res)
	})
	t.deafen = listen(t.sound.Hear)
	return t
}

func (w wishes) packed() json.RawMessage {
	b, err := json.Marshal(w)
	if err != nil {
		panic(fmt.Sprintf("node: wishes do not marshal: %v", err)) // they are plain values
	}
	return b
}

// lost tells of a recording that could not even begin.
func (k *keeper) lost(t *take, err error) {
	k.log.Error("a recording could not begin", zap.String("call_id", t.known.CallID), zap.String("recording_id", t.known.ID), zap.Error(err))
	t.known.EndTime = t.known.StartTime
	k.archive.Fail(t.known, err.Error())
	k.metrics.recordingEnded(recordings.Failed, 0)
}

// recorded is told that the file of a recording is closed.
func (k *keeper) recorded(t *take, res recording.Result) {
	log := k.log.With(zap.String("call_id", t.known.CallID), zap.String("recording_id", t.known.ID))
	outcome, reason := recordings.Complete, ""
	switch {
	case res.Err != nil:
		outcome, reason = recordings.Partial, res.Err.Error()
		if res.Duration == 0 {
			outcome = recordings.Failed
		}
		log.Error("a recording could not be written to its end", zap.Duration("duration", res.Duration), zap.Error(res.Err))
	case res.Lost > 0:
		outcome, reason = recordings.Partial, fmt.Sprintf("the disk was too slow: %v of the sound are missing", res.Lost)
		log.Error("a recording has gaps: the disk was too slow", zap.Duration("missing", res.Lost))
	}
	t.noteEnd()
	k.metrics.recordingEnded(outcome, res.Bytes)
	err := k.archive.Finish(t.known.ID, func(r *recordings.Recording) {
		r.EndTime, r.Duration, r.Bytes, r.Outcome, r.Reason = t.sound.EndTime(), res.Duration, res.Bytes, outcome, reason
	})
	if err != nil && !errors.Is(err, recordings.ErrNotFound) { // it may be deleted while it goes on
		log.Error("a recording's description could not be written", zap.Error(err))
	}
}

// settle tells of a recording that can be had, or that never will.
func (k *keeper) settle(ctx context.Context, r recordings.Recording) error {
	var w wishes
	if err := json.Unmarshal(r.Wishes, &w); err != nil {
		k.log.Error("what is to be done for a recording cannot be read", zap.String("call_id", r.CallID), zap.String("recording_id", r.ID), zap.Error(err))
		return nil // and never will be
	}
	tag, known := k.tag(ctx, r, w)
	if w.Event == nil {
		if known {
			k.note(r.CallID, state.Recording{
				Event: state.RecordingAvailable, ID: r.ID, Millis: r.Duration.Milliseconds(), Status: string(r.Status), Reason: r.Reason,
			})
		}
		ev := webhook.NewRecordingAvailable(k.call(r, tag), k.properties(r), string(r.Status))
		w.Event = &ev
		if err := k.archive.Update(r.CallID, r.ID, func(r *recordings.Recording) { r.Wishes = w.packed() }); errors.Is(err, recordings.ErrNotFound) {
			return nil
		} // that it could not be written down is no reason to keep silent
	}
	if w.Available != nil {
		if err := k.outbox.Send(ctx, *w.Available, *w.Event); err != nil {
			return err
		}
	}
	if w.Transcription == nil || !r.Available() {
		return nil
	}
	return k.transcribe(ctx, r, *w.Transcription)
}

// tag is the tag of an event about a recording: the call's while it is up; afterwards the one that the verb gave it, or
// else the call's last. known: the call's journal is there.
func (k *keeper) tag(ctx context.Context, r recordings.Recording, w wishes) (tag string, known bool) {
	record, err := k.store.Record(ctx, r.CallID)
	if known = err == nil; known && (record.State != state.StateDisconnected || w.Tag == nil) {
		return record.Tag, true
	}
	if w.Tag != nil {
		return *w.Tag, known
	}
	return w.LastTag, false
}

// call is the call of a recording, as events tell of it.
func (k *keeper) call(r recordings.Recording, tag string) webhook.Call {
	return webhook.Call{
		AccountID: r.AccountID, ApplicationID: r.ApplicationID, From: r.From, To: r.To, Direction: webhook.Direction(r.Direction),
		CallID: r.CallID, CallURL: k.callURL(r.CallID), Tag: tag,
	}
}

// properties are those of a recording, as events tell of it.
func (k *keeper) properties(r recordings.Recording) webhook.Recording {
	p := webhook.Recording{
		ID: r.ID, Start: r.StartTime, End: r.EndTime, Duration: r.Duration, Channels: r.Channels, Format: r.Format,
	}
	if r.Available() {
		p.MediaURL = k.mediaURL(&r)
	}
	return p
}

func (k *keeper) note(callID string, r state.Recording) {
	k.journal.note(state.Entry{CallID: callID, Type: state.TypeRecording, Recording: &r})
}

// own returns the ids in the address of a recording's sound, if it is one of this node's.
func (k *keeper) own(address string) (callID, id string, ok bool) {
	rest, ok := strings.CutPrefix(address, strings.TrimSuffix(k.callURL("x"), "x"))
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 || parts[1] != "recordings" || parts[3] != "media" {
		return "", "", false
	}
	return parts[0], parts[2], true
}

// source returns the sound of a recording of this node's, to be played on a call.
func (k *keeper) source(ctx context.Context, callID, id string) (media.Source, error) {
	sound, r, err := k.archive.Media(ctx, callID, id)
	if err != nil {
		return nil, err
	}
	return media.OpenSource(r.Format, sound)
}
