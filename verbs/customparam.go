package verbs

// customParamDef is a parameter of a StartTranscription.
var customParamDef = definition{
	name:       "CustomParam",
	nested:     true,
	attributes: paramAttrs(),
}
