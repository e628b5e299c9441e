package webhook

// Invite is what an initiate event tells of the INVITE besides the properties of the call.
type Invite struct {
	UUI        string            // User-To-User values with their encoding, comma-separated
	SIPHeaders map[string]string // received X-* headers, names in lower case; SIP URI calls only
	Diversion  map[string]string // the most recent Diversion: origTo and its parameters
	StirShaken map[string]string // verstat, attestationIndicator, originatingId
}

type initiate struct {
	properties
	SIPCallID  string            `json:"sipCallId,omitempty"`
	UUI        string            `json:"uui,omitempty"`
	SIPHeaders map[string]string `json:"sipHeaders,omitempty"`
	Diversion  map[string]string `json:"diversion,omitempty"`
	StirShaken map[string]string `json:"stirShaken,omitempty"`
}

// NewInitiate makes the event of a call that has arrived and asks for its first document.
func NewInitiate(c Call, in Invite) Event {
	p := propertiesOf("initiate", c)
	// Neither property is on the event's page: a call that has just arrived has no answer, and its tag is the application's own.
	p.AnswerTime, p.Tag = Time{}, ""
	return build(p, &initiate{p, c.SIPCallID, in.UUI, in.SIPHeaders, in.Diversion, in.StirShaken})
}
