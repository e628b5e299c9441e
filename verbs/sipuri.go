package verbs

// sipURIDef is a SIP URI to call. In Refer it is nothing but its text.
var sipURIDef = definition{
	name:       "SipUri",
	nested:     true,
	attributes: append(transferAttrs(), stringAttr("uui").upTo(256).as(formatUUI)),
	text:       text{requiredText, formatSIPURI},
}
