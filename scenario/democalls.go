package scenario

import (
	"fmt"

	"github.com/callengine/callengine/state"
)

// demoCall is one call of the demonstration: what the phone does, and how the call should go.
type demoCall struct {
	title    string
	from     string   // user part of the phone's address
	target   string   // that it is referred to
	answer   int      // to the REFER
	notifies []string // status lines of the NOTIFYs, in order
	want     demoEnd
}

// demoEnd is how a call should go.
type demoEnd struct {
	status   string
	evidence string
	refer    int // status of the REFER
	notify   int // final status of a NOTIFY; 0: none
	billable bool
	speaks   bool // a recovery document is spoken
}

func (e demoEnd) String() string {
	s := fmt.Sprintf("%s, %s, REFER %d", e.status, e.evidence, e.refer)
	if e.notify != 0 {
		s += fmt.Sprintf(", NOTIFY %d", e.notify)
	}
	if !e.billable {
		s += ", not billable"
	} else {
		s += ", billable"
	}
	if e.speaks {
		s += "; the call lived on and the application spoke"
	}
	return s
}

var demoCalls = []demoCall{
	{
		title: "the caller is handed over", from: "anna", target: "sip:desk@pbx.example.com",
		answer: 202, notifies: []string{"SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"},
		want: demoEnd{status: state.ReferSuccess, evidence: "final-notify", refer: 202, notify: 200, billable: true},
	},
	{
		title: "the caller's phone knows no REFER", from: "bert", target: "sip:desk@pbx.example.com",
		answer: 405,
		want:   demoEnd{status: state.ReferFailure, evidence: "rejected", refer: 405, speaks: true},
	},
	{
		title: "the destination cannot be reached", from: "carla", target: "sip:nobody@pbx.example.com",
		answer: 202, notifies: []string{"SIP/2.0 100 Trying", "SIP/2.0 404 Not Found"},
		want: demoEnd{status: state.ReferFailure, evidence: "final-notify", refer: 202, notify: 404, billable: true, speaks: true},
	},
	{
		title: "the phone never says how it ended", from: "dora", target: "sip:desk@pbx.example.com",
		answer: 202, notifies: []string{"SIP/2.0 100 Trying"},
		want: demoEnd{status: state.ReferFailure, evidence: "notify-timeout", refer: 202, billable: true, speaks: true},
	},
}

// compare says what went otherwise.
func (c demoCall) compare(record state.Record, entries []state.Entry) error {
	if len(record.Refers) != 1 {
		return fmt.Errorf("the record holds %d Refers", len(record.Refers))
	}
	if record.DisconnectCause == nil || *record.DisconnectCause != "hangup" {
		return fmt.Errorf("the call did not end with hangup")
	}
	r := record.Refers[0]
	got := demoEnd{
		status: r.Status, evidence: r.Evidence, refer: r.ReferSIPResponseCode, notify: r.NotifySIPResponseCode,
		billable: r.Billable, speaks: spokenAfterRefer(entries),
	}
	if got != c.want {
		return fmt.Errorf("%v, where it should be %v", got, c.want)
	}
	return nil
}

// spokenAfterRefer reports whether something was played to the caller after the Refer had ended.
func spokenAfterRefer(entries []state.Entry) bool {
	over := false
	for _, e := range entries {
		if e.Type == state.TypeVerb && e.Verb.Name == "Refer" && e.Verb.Event == state.VerbEnded {
			over = true
		}
		if over && e.Type == state.TypeMedia && e.Media.Event == "played" {
			return true
		}
	}
	return false
}
