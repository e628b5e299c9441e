package verbs

// sipURIDef is a SIP URI to call. In Refer it is nothing but its text.
var sipURIDef = definition{
	name:   "SipUri",
	nested: true,
	attributes: []attribute{
		stringAttr("uui").upTo(256).as(formatUUI),
		urlAttr("transferAnswerUrl"),
		methodAttr("transferAnswerMethod"),
		urlAttr("transferAnswerFallbackUrl"),
		methodAttr("transferAnswerFallbackMethod"),
		urlAttr("transferDisconnectUrl"),
		methodAttr("transferDisconnectMethod"),
		userAttr("username", "transferAnswerUrl", "transferDisconnectUrl"),
		passwordAttr("password", "transferAnswerUrl", "transferDisconnectUrl"),
		userAttr("fallbackUsername", "transferAnswerFallbackUrl"),
		passwordAttr("fallbackPassword", "transferAnswerFallbackUrl"),
		tagAttr(),
	},
	text: text{requiredText, formatSIPURI},
}
