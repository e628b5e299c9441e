package verbs

// startGatherDef turns on an event for each digit.
var startGatherDef = definition{
	name: "StartGather",
	attributes: []attribute{
		urlAttr("dtmfUrl").needed(),
		methodAttr("dtmfMethod"),
		userAttr("username", "dtmfUrl"),
		passwordAttr("password", "dtmfUrl"),
		tagAttr(),
	},
	inTransferAnswer: true,
}
