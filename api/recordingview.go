package api

import (
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
)

// recordingView is a recording as the API answers with it (docs/api.md). A value that is not there is null; names are for
// recordings that no verb makes.
type recordingView struct {
	ApplicationID    string             `json:"applicationId"`
	AccountID        string             `json:"accountId"`
	CallID           string             `json:"callId"`
	ParentCallID     *string            `json:"parentCallId"`
	RecordingID      string             `json:"recordingId"`
	To               string             `json:"to"`
	From             string             `json:"from"`
	TransferCallerID *string            `json:"transferCallerId"`
	TransferTo       *string            `json:"transferTo"`
	Duration         string             `json:"duration"`
	Direction        string             `json:"direction"`
	Channels         int                `json:"channels"`
	StartTime        moment             `json:"startTime"`
	EndTime          *moment            `json:"endTime"`
	FileFormat       string             `json:"fileFormat"`
	Status           recordings.Status  `json:"status"`
	MediaURL         *string            `json:"mediaUrl"`
	Transcription    *transcriptionView `json:"transcription"`
}

type transcriptionView struct {
	ID            string  `json:"id"`
	Status        string  `json:"status"`
	CompletedTime *moment `json:"completedTime"`
	URL           string  `json:"url"`
}

func (s *Server) recordingView(r recordings.Recording) recordingView {
	v := recordingView{
		ApplicationID: r.ApplicationID, AccountID: r.AccountID, CallID: r.CallID, RecordingID: r.ID, To: state.MaskText(r.To), From: state.MaskText(r.From),
		Duration: isoDuration(r.Duration), Direction: r.Direction, Channels: r.Channels,
		StartTime: moment(r.StartTime), FileFormat: r.Format, Status: r.Status,
	}
	if !r.EndTime.IsZero() {
		v.EndTime = momentOf(&r.EndTime)
	}
	address := s.callsURL() + "/" + url.PathEscape(r.CallID) + "/recordings/" + url.PathEscape(r.ID)
	if r.Available() {
		media := address + "/media"
		v.MediaURL = &media
	}
	if t := r.Transcription; t != nil {
		v.Transcription = &transcriptionView{ID: t.ID, Status: t.Status, URL: address + "/transcription"}
		if !t.CompletedTime.IsZero() {
			v.Transcription.CompletedTime = momentOf(&t.CompletedTime)
		}
	}
	return v
}

// isoDuration writes a duration in seconds, to the millisecond: PT13.67S.
func isoDuration(d time.Duration) string {
	return "PT" + strconv.FormatFloat(math.Round(d.Seconds()*1000)/1000, 'f', -1, 64) + "S"
}
