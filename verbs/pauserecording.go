package verbs

// pauseRecordingDef leaves what follows out of the recording.
var pauseRecordingDef = definition{
	name:             "PauseRecording",
	inTransferAnswer: true,
	inConference:     true,
}
