package verbs

// connectDef connects the call to an endpoint that is registered with the real-time service.
var connectDef = definition{
	name: "Connect",
	attributes: []attribute{
		urlAttr("eventCallbackUrl"),
		urlAttr("eventFallbackUrl"),
	},
	children: []child{{"Endpoint", span{1, 1}, false}},
}
