package verbs

// startRecordingDef records the call, or a conference, while other verbs run.
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
}
