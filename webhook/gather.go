package webhook

// Gathered is what a <Gather> has collected.
type Gathered struct {
	Digits           string  // without the terminating one; "" when none came
	TerminatingDigit string  // "" when none ended it
	Speech           *Speech // nil: nobody spoke, or a digit came first
}

// Speech is what somebody has said to a <Gather>.
type Speech struct {
	Transcript string  `json:"transcript"` // "" when nothing was understood
	Confidence float64 `json:"confidence"` // 0 to 1
	// ErrorMessage says why what was said, if anything was, could not be recognised; "": it was listened to.
	ErrorMessage string `json:"errorMessage,omitempty"`
}

type gather struct {
	properties
	Digits           string  `json:"digits"`
	TerminatingDigit string  `json:"terminatingDigit"`
	Speech           *Speech `json:"speech,omitempty"`
}

// NewGather makes the event that tells the application what a <Gather> has collected, and asks for the next document.
func NewGather(c Call, g Gathered) Event {
	p := propertiesOf("gather", c)
	return build(p, &gather{p, g.Digits, g.TerminatingDigit, g.Speech})
}
