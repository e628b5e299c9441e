package verbs

// stopStreamDef ends a stream, or waits for its end.
var stopStreamDef = definition{
	name: "StopStream",
	attributes: []attribute{
		stringAttr("name").needed(),
		booleanAttr("wait", "false"),
	},
	inTransferAnswer: true,
}
