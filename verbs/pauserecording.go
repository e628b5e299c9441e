package verbs

import "context"

// PauseRecording leaves what follows out of the recording that StartRecording began.
type PauseRecording struct{ heading }

var pauseRecordingDef = definition{
	name:             "PauseRecording",
	inTransferAnswer: true,
	inConference:     true,
	read:             func(n *node) Verb { return &PauseRecording{n.heading()} },
}

// Execute does nothing when nothing is being recorded. It does not answer the call.
func (v *PauseRecording) Execute(_ context.Context, call Call) (Outcome, error) {
	if recorder, ok := call.(Recorder); ok {
		recorder.PauseRecording()
	}
	return Outcome{}, nil
}
