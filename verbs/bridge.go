package verbs

// bridgeDef joins the call with another one, whose id is the text.
var bridgeDef = definition{
	name: "Bridge",
	attributes: []attribute{
		urlAttr("bridgeCompleteUrl"),
		methodAttr("bridgeCompleteMethod"),
		urlAttr("bridgeCompleteFallbackUrl"),
		methodAttr("bridgeCompleteFallbackMethod"),
		urlAttr("bridgeTargetCompleteUrl"),
		methodAttr("bridgeTargetCompleteMethod"),
		urlAttr("bridgeTargetCompleteFallbackUrl"),
		methodAttr("bridgeTargetCompleteFallbackMethod"),
		userAttr("username", "bridgeCompleteUrl", "bridgeTargetCompleteUrl"),
		passwordAttr("password", "bridgeCompleteUrl", "bridgeTargetCompleteUrl"),
		userAttr("fallbackUsername", "bridgeCompleteFallbackUrl", "bridgeTargetCompleteFallbackUrl"),
		passwordAttr("fallbackPassword", "bridgeCompleteFallbackUrl", "bridgeTargetCompleteFallbackUrl"),
		tagAttr(),
	},
	text:         text{requiredText, formatCallID},
	misspellings: map[string]string{"bridgeTargetCompleteFallback_url": ""},
}
