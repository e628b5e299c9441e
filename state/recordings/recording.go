package recordings

import (
	"encoding/json"
	"time"

	"github.com/callengine/callengine/state"
)

// Status is what can be had of a recording (docs/api.md).
type Status string

const (
	Processing Status = "processing" // it goes on, or its file is not where it will stay
	Partial    Status = "partial"    // it can be had, and parts are missing
	Complete   Status = "complete"
	Deleted    Status = "deleted" // its sound was deleted
	Failed     Status = "error"   // there is no sound
)

// Recording is what is known of a recording. It is a value: whoever got one has it as it was then.
type Recording struct {
	ID            string `json:"recordingId"` // "r-…"
	CallID        string `json:"callId"`
	AccountID     string `json:"accountId"`
	ApplicationID string `json:"applicationId"`
	From          string `json:"from"`
	To            string `json:"to"`
	Direction     string `json:"direction"`

	Format    string        `json:"fileFormat"` // "wav" or "mp3"
	Channels  int           `json:"channels"`
	StartTime time.Time     `json:"startTime"`
	EndTime   time.Time     `json:"endTime,omitzero"` // zero: it goes on
	Duration  time.Duration `json:"duration"`         // of the sound in the file, in nanoseconds
	Bytes     int64         `json:"bytes"`
	Status    Status        `json:"status"`
	Reason    string        `json:"reason,omitempty"` // of Partial and Failed

	// Outcome is the status that the recording has when its file is where it stays, while it is Processing.
	Outcome Status `json:"outcome,omitempty"`
	// Remote: the file is in the archive's store, and not in its folder any more.
	Remote bool `json:"remote,omitempty"`
	// Purge: the recording is deleted but for its file in the store.
	Purge bool `json:"purge,omitempty"`

	// Wishes are what is to be done when the recording can be had, until it is done: those of the one who made the
	// recording, opaque to the archive. They may hold credentials, and are never read out.
	Wishes        json.RawMessage `json:"wishes,omitempty"`
	Transcription *Transcription  `json:"transcription,omitempty"` // nil: none was asked for
}

// Transcription is what is known of a recording's transcription. Its text is kept beside the recording ([Archive.Attach]).
// It is a value, too: a change replaces it.
type Transcription struct {
	ID            string    `json:"id"`     // "t-…"
	Status        string    `json:"status"` // "processing", "available", … (docs/api.md)
	CompletedTime time.Time `json:"completedTime,omitzero"`
	// Wish is how it is to be made and who is told, until that is done; opaque to the archive, and never read out.
	Wish json.RawMessage `json:"wish,omitempty"`
}

// Available reports whether its sound can be had.
func (r *Recording) Available() bool { return r.Status == Complete || r.Status == Partial }

// settled reports whether nothing is left to do for it.
func (r *Recording) settled() bool {
	return r.Status != Processing && len(r.Wishes) == 0 && !r.Purge && !(r.Status == Deleted && r.Remote)
}

// Query selects recordings. Zero values select all.
type Query struct {
	CallID             string
	From, To           string    // as they may be told: without passwords
	MinStart, MaxStart time.Time // the first inclusive, the second exclusive
	Limit              int       // 0: no limit
}

func (q *Query) selects(r *Recording) bool {
	switch {
	case r.Purge:
		return false
	case q.CallID != "" && q.CallID != r.CallID, q.From != "" && q.From != state.MaskText(r.From), q.To != "" && q.To != state.MaskText(r.To):
		return false
	case !q.MinStart.IsZero() && r.StartTime.Before(q.MinStart), !q.MaxStart.IsZero() && !r.StartTime.Before(q.MaxStart):
		return false
	}
	return true
}
