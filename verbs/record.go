package verbs

import "time"

// recordDef records the caller as a step of its own.
var recordDef = definition{
	name: "Record",
	attributes: []attribute{
		urlAttr("recordCompleteUrl"),
		methodAttr("recordCompleteMethod"),
		urlAttr("recordCompleteFallbackUrl"),
		methodAttr("recordCompleteFallbackMethod"),
		urlAttr("recordingAvailableUrl"),
		methodAttr("recordingAvailableMethod"),
		booleanAttr("transcribe", "false"),
		booleanAttr("detectLanguage", "false"),
		urlAttr("transcriptionAvailableUrl"),
		methodAttr("transcriptionAvailableMethod"),
		userAttr("username", "recordCompleteUrl", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		passwordAttr("password", "recordCompleteUrl", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		userAttr("fallbackUsername", "recordCompleteFallbackUrl").overHTTPS(),
		passwordAttr("fallbackPassword", "recordCompleteFallbackUrl").overHTTPS(),
		tagAttr(),
		stringAttr("terminatingDigits").or("#").as(formatDigits),
		integerAttr("maxDuration").or("60").atLeast(1).atMost(10800).in(time.Second),
		numberAttr("silenceTimeout").or("0").atLeast(0).atMost(10800).in(time.Second),
		fileFormatAttr(),
	},
	misspellings:     map[string]string{"recordCompleteFallback_url": "", "recordCompleteFallback_method": ""},
	inTransferAnswer: true,
}

func fileFormatAttr() attribute { return enumAttr("fileFormat", "wav", "mp3").or("wav") }
