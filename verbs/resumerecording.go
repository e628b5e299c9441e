package verbs

import "context"

// ResumeRecording goes on with a recording after PauseRecording.
type ResumeRecording struct{ heading }

var resumeRecordingDef = definition{
	name:             "ResumeRecording",
	inTransferAnswer: true,
	inConference:     true,
	read:             func(n *node) Verb { return &ResumeRecording{n.heading()} },
}

// Execute does nothing when nothing is being recorded. It does not answer the call.
func (v *ResumeRecording) Execute(_ context.Context, call Call) (Outcome, error) {
	if recorder, ok := call.(Recorder); ok {
		recorder.ResumeRecording()
	}
	return Outcome{}, nil
}
