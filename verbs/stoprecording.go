package verbs

import "context"

// StopRecording ends the recording that StartRecording began.
type StopRecording struct{ heading }

var stopRecordingDef = definition{
	name:             "StopRecording",
	inTransferAnswer: true,
	inConference:     true,
	read:             func(n *node) Verb { return &StopRecording{n.heading()} },
}

// Execute does nothing when nothing is being recorded. It does not answer the call.
func (v *StopRecording) Execute(_ context.Context, call Call) (Outcome, error) {
	if recorder, ok := call.(Recorder); ok {
		recorder.StopRecording()
	}
	return Outcome{}, nil
}
