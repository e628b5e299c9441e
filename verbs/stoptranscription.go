package verbs

// stopTranscriptionDef ends one transcription of the call, or all.
var stopTranscriptionDef = definition{
	name:             "StopTranscription",
	attributes:       []attribute{stringAttr("name")},
	inTransferAnswer: true,
}
