package state

import (
	"strings"
	"time"
)

// How many lines a text may take.
const (
	detailLines = 2
	noteLines   = 4
	textLines   = 3
)

func (d *drawing) emit(r row) {
	_, _ = d.out.WriteString(r.text(d.color) + "\n") // the writer keeps its first error for Flush
}

// emitText writes a text above or below the lifelines.
func (d *drawing) emitText(text string, s style) {
	for _, part := range wrapped(text, d.width, textLines) {
		r := d.blank()
		r.put(0, d.width, part, s)
		d.emit(r)
	}
}

// head names the call and the lifelines.
func (d *drawing) head(callID string, whole Record) {
	d.emitText(joined(" ", whole.Direction, "call", callID), styleTitle)
	if whole.From != "" || whole.To != "" {
		d.emitText("from "+whole.From+" to "+whole.To, stylePlain)
	}
	d.emit(nil)
	r := d.blank()
	for _, name := range []struct {
		at   int
		text string
	}{{d.caller, "caller"}, {d.engine, "callengine"}, {d.app, "application"}} {
		from := max(0, min(name.at-len(name.text)/2, d.width-len(name.text)))
		r.put(from, d.width, name.text, styleTitle)
	}
	d.emit(r)
}

// foot sums the call up.
func (d *drawing) foot() {
	d.emit(nil)
	if text, s := endText(&d.record); text != "" {
		d.emitText(text, s)
	}
	for i := range d.record.Refers {
		text, s := outcomeText(&d.record.Refers[i])
		d.emitText(text, s)
	}
}

// arrow draws a message between two lifelines, its text in the line of the arrow. Of a text that is too long suffix stays.
func (d *drawing) arrow(at time.Duration, left, right int, toLeft bool, text, suffix string, s style) {
	r := d.lifelines(d.verbs > 0)
	d.time(r, at)
	from, to := left+1, right // the columns between the lifelines; textMargin of them at both ends show the line itself
	r.put(from, to, strings.Repeat("─", max(0, to-from)), s)
	if toLeft {
		r.put(from, to, "◄", s)
	} else {
		r.put(to-1, to, "►", s)
	}
	if inner := to - from - 2*textMargin - len(suffix); inner > 2 {
		r.put(from+textMargin-1, to-textMargin+1, " "+cut(printable(text), inner)+suffix+" ", s)
	}
	d.emit(r)
}

// fits reports whether an arrow has room for the whole text.
func (d *drawing) fits(left, right int, text string) bool {
	return cut(printable(text), right-left-1-2*textMargin) == printable(text)
}

// under draws what belongs to the arrow above.
func (d *drawing) under(left, right int, text string) {
	from, to := left+1+textMargin, right-1
	for _, part := range wrapped(text, to-from, detailLines) {
		r := d.lifelines(d.verbs > 0)
		r.put(from, to, part, styleQuiet)
		d.emit(r)
	}
}

// note draws what callengine itself does, to the right of its lifeline.
func (d *drawing) note(at time.Duration, s style, text string) {
	from, to := d.engine+3, d.app-1
	for i, part := range wrapped(text, to-from, noteLines) {
		r := d.lifelines(d.verbs > 0)
		if i == 0 {
			d.time(r, at)
			tee := "├╴"
			if d.verbs > 0 {
				tee = "╟╴"
			}
			r.put(d.engine, d.engine+2, tee, s)
		}
		r.put(from, to, part, s)
		d.emit(r)
	}
}
