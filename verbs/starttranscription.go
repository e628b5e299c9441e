package verbs

// startTranscriptionDef transcribes the call while other verbs run.
var startTranscriptionDef = definition{
	name: "StartTranscription",
	attributes: []attribute{
		stringAttr("name"),
		tracksAttr(),
		urlAttr("transcriptionEventUrl"),
		methodAttr("transcriptionEventMethod"),
		userAttr("username", "transcriptionEventUrl").overHTTPS(),
		passwordAttr("password", "transcriptionEventUrl").overHTTPS(),
		wsAttr("destination"),
		booleanAttr("stabilized", "true"),
	},
	children:         []child{{"CustomParam", span{0, 12}, false}},
	inTransferAnswer: true,
	check: func(c *checker, n *node) {
		if n.has("stabilized") && !n.has("destination") {
			c.warnf(n.at["stabilized"], n.name, "stabilized has an effect only with destination; ignored")
		}
	},
}
