package verbs

// resumeRecordingDef goes on with a paused recording.
var resumeRecordingDef = definition{
	name:             "ResumeRecording",
	inTransferAnswer: true,
	inConference:     true,
}
