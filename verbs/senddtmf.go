package verbs

import "time"

// sendDTMFDef sends the digits of its text.
var sendDTMFDef = definition{
	name: "SendDtmf",
	attributes: []attribute{
		numberAttr("toneDuration").or("200").atLeast(50).atMost(5000).in(time.Millisecond),
		numberAttr("toneInterval").or("400").atLeast(50).atMost(5000).in(time.Millisecond),
	},
	text:             text{requiredText, formatDTMF},
	inTransferAnswer: true,
}

// unitNames are the units of numbers as messages write them.
var unitNames = map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}
