package verbs

// registry lists every tag of the language. To add a verb is to add its file and its line here.
func registry() []*definition {
	return []*definition{
		&referDef,
		&transferDef,
		&sipURIDef,
		&phoneNumberDef,
		&bridgeDef,
		&conferenceDef,
		&connectDef,
		&endpointDef,
		&forwardDef,
		&redirectDef,
		&hangupDef,
		&ringDef,
		&pauseDef,
		&playAudioDef,
		&speakSentenceDef,
		&sendDTMFDef,
		&gatherDef,
		&startGatherDef,
		&stopGatherDef,
		&recordDef,
		&startRecordingDef,
		&stopRecordingDef,
		&pauseRecordingDef,
		&resumeRecordingDef,
		&startStreamDef,
		&streamParamDef,
		&stopStreamDef,
		&startTranscriptionDef,
		&customParamDef,
		&stopTranscriptionDef,
		&tagDef,
	}
}
