package verbs

import "context"

// StartRecording records both sides while other verbs run.
type StartRecording struct {
	heading
	Recording
}

// startRecordingDef is that of a call, or of a conference.
var startRecordingDef = definition{
	name: "StartRecording",
	attributes: []attribute{
		urlAttr("recordingAvailableUrl"),
		methodAttr("recordingAvailableMethod"),
		booleanAttr("transcribe", "false"),
		booleanAttr("detectLanguage", "false"),
		urlAttr("transcriptionAvailableUrl"),
		methodAttr("transcriptionAvailableMethod"),
		userAttr("username", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		passwordAttr("password", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		tagAttr(),
		fileFormatAttr(),
		booleanAttr("multiChannel", "false"),
	},
	inTransferAnswer: true,
	inConference:     true,
	read: func(n *node) Verb {
		s := &StartRecording{n.heading(), n.recording()}
		s.MultiChannel = n.boolean("multiChannel")
		return s
	},
}

// Execute needs a [Recorder]. While a recording of an earlier StartRecording goes on, this one is ignored but for its tag.
func (s *StartRecording) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, s.Tag)
	recorder, ok := call.(Recorder)
	if !ok {
		return Outcome{}, s.lacks("be recorded")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	if err := recorder.StartRecording(s.Recording); err != nil {
		return Outcome{}, &ActionError{Verb: s.name, Reason: err.Error(), Err: err}
	}
	return Outcome{}, nil
}
