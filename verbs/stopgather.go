package verbs

// stopGatherDef turns the events of a StartGather off.
var stopGatherDef = definition{
	name:             "StopGather",
	inTransferAnswer: true,
}
