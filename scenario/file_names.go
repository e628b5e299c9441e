package scenario

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Names that scenarios can expect. What has none of them would be missing for ever, and never in vain where it must not
// come: a misspelt one is an error.
var (
	// eventTypes are the webhooks of the language.
	eventTypes = []string{
		"initiate", "answer", "disconnect", "redirect", "gather", "partialgather", "dtmf", "recordComplete", "recordingAvailable",
		"conferenceRecordingAvailable", "transcriptionAvailable", "transferAnswer", "transferComplete", "transferDisconnect",
		"bridgeComplete", "bridgeTargetComplete", "referComplete", "conferenceCreated", "conferenceMemberJoin",
		"conferenceMemberExit", "conferenceCompleted", "conferenceRedirect", "machineDetectionComplete", "mediaStreamStarted",
		"mediaStreamRejected", "mediaStreamStopped", "realTimeTranscriptionStarted", "realTimeTranscriptionRejected",
		"realTimeTranscriptionStopped", "realTimeTranscriptionAvailable",
	}
	// verbNames are the verbs of the language that can stand in a document by themselves.
	verbNames = []string{
		"Bridge", "Conference", "Connect", "Forward", "Gather", "Hangup", "Pause", "PauseRecording", "PlayAudio", "Record",
		"Redirect", "Refer", "ResumeRecording", "Ring", "SendDtmf", "SpeakSentence", "StartGather", "StartRecording",
		"StartStream", "StartTranscription", "StopGather", "StopRecording", "StopStream", "StopTranscription", "Tag", "Transfer",
	}
	// timerNames are the timers that a call's journal tells of.
	timerNames = []string{"ack", "prack", "refer.notify", "session"}
)

// oneOf holds the value of a key, where there is one, to the names that exist.
func (d *decoder) oneOf(n *yaml.Node, key, what string, known []string) {
	at := valueOf(n, key)
	if at == n {
		return
	}
	at = resolved(at)
	names := []*yaml.Node{at}
	if at.Kind == yaml.SequenceNode {
		names = at.Content
	}
	for _, name := range names {
		if name = resolved(name); !slices.Contains(known, name.Value) {
			d.fail(name, "%s is no %s%s", name.Value, what, didYouMean(name.Value, known))
		}
	}
}
