package state

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// MaxLadderWidth is the widest that a ladder gets, in columns.
const MaxLadderWidth = 100

// Ladder draws journals for people: three lifelines, the SIP messages as arrows between the caller and callengine, the
// webhooks as arrows between callengine and the application, and what callengine itself does beside its own lifeline,
// which is drawn double while a verb runs. Times are seconds since the call's first entry.
//
// What it draws is masked, and free of control characters, whatever the entries hold.
type Ladder struct {
	Width int  // in columns; 0 or more than MaxLadderWidth: MaxLadderWidth. Below 60 little can be read
	Color bool // with ANSI escape sequences, for a terminal
	Marks []Mark
}

// Mark is a remark of whoever has a ladder drawn, such as where a call went otherwise than it was expected to.
type Mark struct {
	After uint64 // the number of the entry that it stands below; 0: it stands above all
	Text  string
}

// pauseShown is the time without entries from which on a ladder shows a gap.
const pauseShown = time.Second

// Write draws one ladder for each call in entries, in the order in which the calls first appear. It returns the first
// error of w.
func (l Ladder) Write(w io.Writer, entries []Entry) error {
	out := bufio.NewWriter(w)
	calls := map[string][]Entry{}
	var order []string
	for _, e := range entries {
		if _, known := calls[e.CallID]; !known {
			order = append(order, e.CallID)
		}
		calls[e.CallID] = append(calls[e.CallID], e.Masked(nil)) // no document's text is drawn
	}
	for i, id := range order {
		if i > 0 {
			_ = out.WriteByte('\n') // the writer keeps its first error for Flush
		}
		d := newDrawing(l, out, calls[id])
		var whole Record
		for _, e := range calls[id] {
			whole.Apply(e)
		}
		d.head(id, whole)
		d.marks(0)
		for _, e := range calls[id] {
			d.entry(e)
			d.marks(e.Seq)
		}
		d.foot()
	}
	return out.Flush()
}

// drawing is the ladder of one call under way.
type drawing struct {
	layout
	out    *bufio.Writer
	marked []Mark
	record Record // as far as drawn
	start  time.Time
	last   time.Time
	verbs  int             // running
	seen   map[string]bool // SIP messages drawn, to tell repetitions
	refers map[string]string
}

func newDrawing(l Ladder, out *bufio.Writer, entries []Entry) *drawing {
	earliest := func(a, b Entry) int { return a.Time.Compare(b.Time) }
	start := slices.MinFunc(entries, earliest).Time
	return &drawing{
		layout: newLayout(l, slices.MaxFunc(entries, earliest).Time.Sub(start)),
		out:    out, marked: l.Marks, start: start, last: start,
		seen: map[string]bool{}, refers: map[string]string{},
	}
}

func (d *drawing) entry(e Entry) {
	if e.Dialog != nil {
		return // for recovery alone
	}
	d.pause(e.Time)
	at := e.Time.Sub(d.start)
	switch {
	case e.SIP != nil:
		d.sip(at, e.SIP)
	case e.Webhook != nil:
		d.webhook(at, e.Webhook)
	case e.Document != nil:
		d.document(at, e.Document)
	case e.Verb != nil:
		d.verb(at, e.Verb)
	case e.Timer != nil:
		d.note(at, styleTimer, timerText(e.Timer))
	case e.Call != nil:
		d.call(at, e)
	case e.Digit != nil:
		d.note(at, styleCall, digitText(e.Digit))
	case e.Recording != nil:
		d.note(at, styleCall, recordingText(e.Recording))
	case e.Media != nil:
		d.note(at, styleQuiet, joined(": ", "sound "+e.Media.Event, e.Media.Detail))
	default:
		d.note(at, styleQuiet, "entry of type "+string(e.Type)) // of a later version
	}
	d.record.Apply(e)
}

// marks draws the remarks that stand below an entry.
func (d *drawing) marks(after uint64) {
	for _, m := range d.marked {
		if m.After == after {
			d.emitText("✗ "+m.Text, styleBad)
		}
	}
}

// pause draws that for a while nothing happened.
func (d *drawing) pause(now time.Time) {
	if now.Sub(d.last) >= pauseShown {
		r := d.lifelines(d.verbs > 0)
		for _, x := range []int{d.caller, d.engine, d.app} {
			r.put(x, x+1, "┊", styleLine)
		}
		d.emit(r)
	}
	if now.After(d.last) {
		d.last = now
	}
}

func (d *drawing) sip(at time.Duration, m *SIP) {
	style := styleSIP
	if m.Code >= 400 {
		style = styleBad
	}
	label, suffix := startLine(m), ""
	again := m.Raw != "" && d.seen[m.Raw]
	d.seen[m.Raw] = true
	switch {
	case again:
		suffix, style = " (again)", styleQuiet
	case hasSDP(m):
		suffix = " + SDP"
	}
	d.arrow(at, d.caller, d.engine, m.Direction == "out", label, suffix, style)
	if again {
		return
	}
	for _, detail := range sipDetails(m) {
		d.under(d.caller, d.engine, detail)
	}
}

func (d *drawing) webhook(at time.Duration, w *Webhook) {
	switch w.Event {
	case WebhookRequest:
		suffix := ""
		if w.Attempt > 1 {
			suffix = fmt.Sprintf(" (attempt %d)", w.Attempt)
		}
		what, where := w.EventType, joined(" ", w.Method, pathOf(w.URL))
		if whole := what + ": " + where; d.fits(d.engine, d.app, whole+suffix) {
			d.arrow(at, d.engine, d.app, false, whole, suffix, styleWebhook)
			return
		}
		d.arrow(at, d.engine, d.app, false, what, suffix, styleWebhook)
		d.under(d.engine, d.app, where)
	case WebhookReply:
		status, style := "no reply", styleBad
		if w.Status > 0 {
			status = strconv.Itoa(w.Status)
		}
		if w.Status >= 200 && w.Status <= 299 && w.Error == "" {
			style = styleWebhook
		}
		took := "under 1 ms"
		if w.Millis > 0 {
			took = fmt.Sprintf("%d ms", w.Millis)
		}
		d.arrow(at, d.engine, d.app, true, status+" after "+took, "", style)
		if w.Error != "" {
			d.under(d.engine, d.app, w.Error)
		}
	case WebhookFailed:
		d.note(at, styleBad, joined(": ", w.EventType+" given up", w.Error))
	default:
		d.note(at, styleQuiet, joined(" ", w.EventType, w.Event)) // "disconnect owed", "disconnect delivered"
	}
}

func (d *drawing) document(at time.Duration, doc *Document) {
	switch {
	case doc.Error != "":
		d.note(at, styleBad, "BXML refused: "+doc.Error)
	case len(doc.Verbs) == 0:
		d.note(at, styleDocument, "BXML without a verb")
	default:
		d.note(at, styleDocument, "BXML: "+joined(", ", doc.Verbs...))
	}
	for _, w := range doc.Warnings {
		d.note(at, styleQuiet, "warning: "+w)
	}
}

func (d *drawing) verb(at time.Duration, v *Verb) {
	switch {
	case v.Refer != nil:
		// A REFER that was sent has its arrow, and a NOTIFY that reports mere progress changes nothing.
		if text, style := referText(v.Refer); text != "" && text != d.refers[v.Refer.ID] {
			d.refers[v.Refer.ID] = text
			d.note(at, style, text)
		}
	case v.Event == VerbStarted:
		d.verbs++
		d.note(at, styleVerb, startText(v))
	case v.Event == VerbEnded:
		style := styleVerb
		if v.Error != "" {
			style = styleBad
		}
		d.note(at, style, endedText(v))
		d.verbs = max(0, d.verbs-1)
	default:
		d.note(at, styleVerb, joined(" ", v.Name, v.Event, v.Error))
	}
}

func (d *drawing) call(at time.Duration, e Entry) {
	switch c := e.Call; c.Event {
	case CallTagged:
		d.note(at, styleCall, tagText(c.Tag))
	case CallModified:
		d.note(at, styleCall, changeText(c))
	case CallResumed:
		d.note(at, styleBad, "the node was restarted")
	case CallSettled: // its Refer has told
	case CallEnded:
		style := styleCall
		if c.ErrorMessage != "" {
			style = styleBad
		}
		d.note(at, style, joined(": ", "call ended", c.Cause, c.ErrorMessage))
	default:
		d.note(at, styleCall, "call "+c.Event)
	}
}
