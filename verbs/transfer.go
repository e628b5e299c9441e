package verbs

import "time"

// transferDef calls one to eight destinations and joins the first that answers with the call.
var transferDef = definition{
	name: "Transfer",
	attributes: []attribute{
		stringAttr("transferCallerId").as(formatE164OrKeyword),
		stringAttr("transferCallerDisplayName").upTo(256).as(formatDisplayName),
		numberAttr("callTimeout").or("30").atLeast(1).atMost(300).in(time.Second),
		urlAttr("transferCompleteUrl"),
		methodAttr("transferCompleteMethod"),
		urlAttr("transferCompleteFallbackUrl"),
		methodAttr("transferCompleteFallbackMethod"),
		userAttr("username", "transferCompleteUrl"),
		passwordAttr("password", "transferCompleteUrl"),
		userAttr("fallbackUsername", "transferCompleteFallbackUrl"),
		passwordAttr("fallbackPassword", "transferCompleteFallbackUrl"),
		tagAttr(),
		diversionTreatmentAttr(),
		diversionReasonAttr(),
	},
	children: []child{
		{"PhoneNumber", span{0, 8}, false},
		{"SipUri", span{0, 8}, false},
	},
	total: &span{1, 8},
}

// diversionTreatmentAttr says what becomes of the header Diversion on a leg that is placed for the call.
func diversionTreatmentAttr() attribute {
	return enumAttr("diversionTreatment", "none", "propagate", "stack").or("none")
}

func diversionReasonAttr() attribute {
	return enumAttr("diversionReason", "unknown", "user-busy", "no-answer", "unavailable", "unconditional", "time-of-day",
		"do-not-disturb", "deflection", "follow-me", "out-of-service", "away").or("unknown")
}
