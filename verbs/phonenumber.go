package verbs

// phoneNumberDef is a telephone number that a Transfer calls.
var phoneNumberDef = definition{
	name:       "PhoneNumber",
	nested:     true,
	attributes: append(transferAttrs(), stringAttr("uui").upTo(350).as(formatUUI)),
	text:       text{requiredText, formatE164},
}

// transferAttrs are the attributes of whoever a Transfer calls.
func transferAttrs() []attribute {
	return []attribute{
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
	}
}
