package verbs

import "time"

// conferenceDef puts the call into a conference, whose name is the text.
var conferenceDef = definition{
	name: "Conference",
	attributes: []attribute{
		booleanAttr("mute", "false"),
		booleanAttr("hold", "false"),
		stringAttr("callIdsToCoach").as(formatCallIDs),
		urlAttr("conferenceEventUrl"),
		methodAttr("conferenceEventMethod"),
		urlAttr("conferenceEventFallbackUrl"),
		methodAttr("conferenceEventFallbackMethod"),
		userAttr("username", "conferenceEventUrl"),
		passwordAttr("password", "conferenceEventUrl"),
		userAttr("fallbackUsername", "conferenceEventFallbackUrl"),
		passwordAttr("fallbackPassword", "conferenceEventFallbackUrl"),
		tagAttr(),
		numberAttr("callbackTimeout").atLeast(1).atMost(25).in(time.Second),
	},
	text:         text{requiredText, formatConference},
	misspellings: map[string]string{"calbackTimeout": "callbackTimeout", "name": textName},
}
