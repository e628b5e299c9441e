package webhook

// Gathered is what a <Gather> has collected.
type Gathered struct {
	Digits           string // without the terminating one; "" when none came
	TerminatingDigit string // "" when none ended it
}

type gather struct {
	properties
	Digits           string `json:"digits"`
	TerminatingDigit string `json:"terminatingDigit"`
}

// NewGather makes the event that tells the application what a <Gather> has collected, and asks for the next document.
func NewGather(c Call, g Gathered) Event {
	p := propertiesOf("gather", c)
	return build(p, gather{p, g.Digits, g.TerminatingDigit})
}
