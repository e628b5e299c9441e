package verbs

// phoneNumberDef is a telephone number that a Transfer calls.
var phoneNumberDef = definition{
	name:   "PhoneNumber",
	nested: true,
	attributes: []attribute{
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
		stringAttr("uui").upTo(350).as(formatUUI),
	},
	text: text{requiredText, formatE164},
}
