package verbs

// endpointDef is the id of the endpoint that a Connect connects to.
var endpointDef = definition{
	name:   "Endpoint",
	nested: true,
	text:   text{requiredText, formatEndpointID},
}
