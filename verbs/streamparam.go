package verbs

// streamParamDef is a parameter of a StartStream.
var streamParamDef = definition{
	name:       "StreamParam",
	nested:     true,
	attributes: paramAttrs(),
}
