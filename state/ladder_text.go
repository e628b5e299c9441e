package state

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// joined joins the parts that are not empty.
func joined(separator string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(p)
	}
	return b.String()
}

// startLine is a SIP message's start line without the version. A response tells what it responds to.
func startLine(m *SIP) string {
	if m.Code > 0 {
		return joined(" ", strconv.Itoa(m.Code), m.Reason, "("+m.Method+")")
	}
	first, _, _ := strings.Cut(m.Raw, "\n")
	if fields := strings.Fields(first); len(fields) == 3 {
		return m.Method + " " + fields[1]
	}
	return m.Method
}

func hasSDP(m *SIP) bool {
	_, body := splitMessage(m.Raw)
	return strings.HasPrefix(strings.TrimLeft(body, "\r\n"), "v=0")
}

// splitMessage parts a SIP message's header, its start line included, from its body.
func splitMessage(raw string) (header, body string) {
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		if header, body, found := strings.Cut(raw, blank); found {
			return header, body
		}
	}
	return raw, ""
}

// told are the header fields that a ladder shows, with their compact forms and what they are called there.
var told = []struct{ name, compact, as string }{
	{"Refer-To", "r", "Refer-To"}, {"Subscription-State", "", "subscription"},
	{"Retry-After", "", "Retry-After"}, {"Reason", "", "Reason"}, {"Warning", "", "Warning"},
}

// sipDetails is what else a SIP message says, a line each: what decides about a Refer, and why something was refused. A
// message that is not there as text is told by its summary.
func sipDetails(m *SIP) []string {
	header, body := splitMessage(m.Raw)
	lines := strings.Split(strings.ReplaceAll(header, "\r", ""), "\n")
	var details []string
	for _, want := range told {
		for _, line := range lines[1:] {
			name, value, found := strings.Cut(line, ":")
			name = strings.TrimSpace(name)
			if found && (strings.EqualFold(name, want.name) || want.compact != "" && strings.EqualFold(name, want.compact)) {
				details = append(details, want.as+": "+strings.TrimSpace(value))
			}
		}
	}
	if frag, _, _ := strings.Cut(strings.TrimSpace(body), "\n"); m.Code == 0 && len(frag) > 4 && strings.EqualFold(frag[:4], "SIP/") {
		details = append([]string{"sipfrag: " + strings.TrimSpace(frag)}, details...)
	}
	if len(details) == 0 && m.Summary != "" {
		details = append(details, m.Summary)
	}
	return details
}

// pathOf is the path of a webhook's URL. Its query, if there is one, is only hinted at: by GET it is the whole event.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?…"
	}
	return path
}

func timerText(t *Timer) string {
	text := joined(" ", "timer", t.Name, t.Event)
	if t.After != "" {
		text += ", " + t.After
	}
	return text
}

func tagText(tag *string) string {
	if tag == nil || *tag == "" {
		return "tag cleared"
	}
	return fmt.Sprintf("tag %q", *tag)
}

// changeText says what was asked for through the API.
func changeText(c *Call) string {
	switch c.Change {
	case ChangeRedirect:
		return "API: redirect to " + pathOf(c.URL)
	case ChangeDocument:
		return "API: new document"
	case ChangeCompleted:
		return "API: end the call"
	}
	return joined(" ", "API:", c.Change)
}

func startText(v *Verb) string {
	if v.Line == 0 {
		return v.Name + " starts"
	}
	return fmt.Sprintf("%s starts (line %d)", v.Name, v.Line)
}

func endedText(v *Verb) string {
	text := v.Name + " ends, " + v.Next
	switch {
	case v.Next == "":
		text = v.Name + " ends"
	case strings.HasPrefix(v.Next, "end"): // "end", "end: hangup"
		text = v.Name + " ends the call" + strings.TrimPrefix(v.Next, "end")
	}
	return joined(": ", text, v.Error)
}

// referText says how far a Refer has come, and from what that is known; "" when it has only been sent.
func referText(r *Refer) (string, style) {
	switch r.Status {
	case ReferSuccess:
		return "Refer succeeded: " + referCodes(r), styleGood
	case ReferFailure:
		return "Refer failed: " + referCodes(r), styleBad
	}
	if r.AcceptedTime == nil {
		return "", styleVerb
	}
	return "Refer accepted, now pending", styleVerb
}

// referCodes is what is known of a Refer: "REFER 202, NOTIFY 486 (final-notify)".
func referCodes(r *Refer) string {
	var refer, notify, evidence string
	if r.ReferSIPResponseCode > 0 {
		refer = fmt.Sprintf("REFER %d", r.ReferSIPResponseCode)
	}
	if r.NotifySIPResponseCode > 0 {
		notify = fmt.Sprintf("NOTIFY %d", r.NotifySIPResponseCode)
	}
	if r.Evidence != "" {
		evidence = "(" + r.Evidence + ")"
	}
	return joined(" ", joined(", ", refer, notify), evidence)
}

// endText sums up how a call ended; "" while it is up.
func endText(r *Record) (string, style) {
	if r.EndTime == nil {
		return "", stylePlain
	}
	s := styleGood
	if r.ErrorMessage != nil {
		s = styleBad
	}
	text := "ended"
	if r.DisconnectCause != nil {
		text += " with " + *r.DisconnectCause
	}
	if r.StartTime != nil {
		text += fmt.Sprintf(" after %s s", seconds(r.EndTime.Sub(*r.StartTime)))
	}
	if r.ErrorMessage != nil {
		text += ": " + *r.ErrorMessage
	}
	return text, s
}

// outcomeText sums up a Refer.
func outcomeText(r *Refer) (string, style) {
	outcome, s := "is pending", styleVerb
	switch r.Status {
	case ReferSuccess:
		outcome, s = "succeeded", styleGood
	case ReferFailure:
		outcome, s = "failed", styleBad
	}
	billable := "not billable"
	if r.Billable {
		billable = "billable"
	}
	return joined(", ", joined(": ", "Refer to "+r.Target+" "+outcome, referCodes(r)), billable), s
}

func digitText(d *Digit) string {
	way := map[string]string{"rtp": "RTP event", "info": "INFO", "tone": "tone"}[d.By]
	if way == "" {
		way = d.By
	}
	return joined(", ", "digit "+d.Digit, way)
}

func recordingText(r *Recording) string {
	what := ""
	switch {
	case r.Channels > 1:
		what = joined(", ", r.Format, strconv.Itoa(r.Channels)+" channels")
	case r.Format != "":
		what = r.Format
	case r.Event == RecordingEnded, r.Event == RecordingAvailable && r.Status != "error":
		what = joined(", ", (time.Duration(r.Millis) * time.Millisecond).String(), r.Status)
	case r.Event == RecordingAvailable:
		return joined(": ", "recording failed", r.Reason)
	}
	return joined(": ", joined(", ", "recording "+r.Event, what), r.Reason)
}
