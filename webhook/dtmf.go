package webhook

type dtmf struct {
	properties
	Digit string `json:"digit"`
}

// NewDTMF makes the event of a digit that was pressed while a <StartGather> is active: 0 to 9, *, #, A to D.
func NewDTMF(c Call, digit byte) Event {
	p := propertiesOf("dtmf", c)
	return build(p, &dtmf{p, string(rune(digit))})
}
