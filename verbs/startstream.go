package verbs

// startStreamDef sends the sound of the call to a WebSocket.
var startStreamDef = definition{
	name: "StartStream",
	attributes: []attribute{
		wsAttr("destination").needed(),
		userAttr("destinationUsername", "destination"),
		passwordAttr("destinationPassword", "destination"),
		stringAttr("name"),
		enumAttr("mode", "unidirectional", "bidirectional").or("unidirectional"),
		tracksAttr(),
		urlAttr("streamEventUrl"),
		methodAttr("streamEventMethod"),
		userAttr("username", "streamEventUrl").overHTTPS(),
		passwordAttr("password", "streamEventUrl").overHTTPS(),
	},
	children:         []child{{"StreamParam", span{0, 12}, false}},
	inTransferAnswer: true,
}

// tracksAttr says which side of the call is meant, seen from the node.
func tracksAttr() attribute {
	return enumAttr("tracks", "inbound", "outbound", "both").or("inbound")
}

// paramAttrs are the attributes of a parameter that a WebSocket's other end is told.
func paramAttrs() []attribute {
	return []attribute{
		stringAttr("name").needed().upTo(256),
		stringAttr("value").needed().upTo(2048),
	}
}
