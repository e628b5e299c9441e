package verbs

// stopRecordingDef ends the recording that a StartRecording began.
var stopRecordingDef = definition{
	name:             "StopRecording",
	inTransferAnswer: true,
	inConference:     true,
}
