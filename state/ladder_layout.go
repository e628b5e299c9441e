package state

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"
)

// style is how a part of a ladder looks where colour was asked for.
type style uint8

const (
	stylePlain style = iota
	styleLine
	styleQuiet
	styleTitle
	styleSIP
	styleWebhook
	styleDocument
	styleVerb
	styleTimer
	styleCall
	styleGood
	styleBad
)

// sequences are ANSI SGR parameters. Only the basic colours: every terminal's own theme makes them readable.
var sequences = [...]string{
	stylePlain: "", styleLine: "2", styleQuiet: "2", styleTitle: "1",
	styleSIP: "36", styleWebhook: "35", styleDocument: "34", styleVerb: "33",
	styleTimer: "2;33", styleCall: "1", styleGood: "32", styleBad: "31",
}

// layout is where things stand in a ladder's lines.
type layout struct {
	width               int
	color               bool
	clock               int // width of the times
	caller, engine, app int // columns of the lifelines
}

// Parts of a line: half of the last lifeline's name stands to the right of it, and the arrows between caller and
// callengine have the longer texts.
const (
	margin     = 6
	leftShare  = 56 // per cent
	textMargin = 3  // between a lifeline and the text of an arrow
)

func newLayout(l Ladder, duration time.Duration) layout {
	if l.Width <= 0 || l.Width > MaxLadderWidth {
		l.Width = MaxLadderWidth
	}
	clock := max(7, len(seconds(duration)))
	y := layout{width: l.Width, color: l.Color, clock: clock}
	y.caller = clock + 2
	y.app = max(y.caller+2, l.Width-margin)
	y.engine = y.caller + max(1, (y.app-y.caller)*leftShare/100)
	return y
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// row is one line of a ladder, a cell for each column.
type row []cell

type cell struct {
	r     rune // 0: the right half of a wide character
	style style
}

func (y layout) blank() row {
	r := make(row, y.width)
	for i := range r {
		r[i].r = ' '
	}
	return r
}

// lifelines is a line in which nothing else happens yet.
func (y layout) lifelines(busy bool) row {
	r := y.blank()
	r.put(y.caller, y.caller+1, "│", styleLine)
	r.put(y.app, y.app+1, "│", styleLine)
	if busy {
		r.put(y.engine, y.engine+1, "║", styleVerb)
	} else {
		r.put(y.engine, y.engine+1, "│", styleLine)
	}
	return r
}

// put writes text from column from on, before column to, and returns the column behind it. What does not fit is cut.
// Nothing but text gets into the line: no control character, no mark that would change the width.
func (r row) put(from, to int, text string, s style) int {
	to = min(to, len(r))
	for _, c := range printable(text) {
		w := columns(c)
		if from < 0 || from+w > to {
			break
		}
		r[from] = cell{c, s}
		for i := 1; i < w; i++ {
			r[from+i] = cell{0, s}
		}
		from += w
	}
	return from
}

// printable replaces what a terminal would act upon instead of showing it.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.Is(unicode.M, c):
			return -1
		case c == '\t' || c == '\n' || c == '\r':
			return ' '
		case !unicode.IsPrint(c):
			return '·'
		}
		return c
	}, strings.ToValidUTF8(text, "·"))
}

func columns(c rune) int {
	switch width.LookupRune(c).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// prefix is the longest beginning of a text that takes at most n columns.
func prefix(text string, n int) string {
	for i, c := range text {
		if n -= columns(c); n < 0 {
			return text[:i]
		}
	}
	return text
}

// cut shortens a text to n columns, with an ellipsis where something is missing.
func cut(text string, n int) string {
	if n < 1 {
		return ""
	}
	if prefix(text, n) == text {
		return text
	}
	return strings.TrimRight(prefix(text, n-1), " ") + "…"
}

// wrapped breaks a text into at most lines parts of at most n columns, at spaces where it can; the rest is cut.
func wrapped(text string, n, lines int) []string {
	text = strings.Join(strings.Fields(printable(text)), " ")
	var parts []string
	for len(parts) < lines-1 {
		head := prefix(text, n)
		if head == text || head == "" {
			break
		}
		if i := strings.LastIndexByte(text[:len(head)+1], ' '); i > 0 {
			head = head[:i]
		}
		parts = append(parts, head)
		text = strings.TrimLeft(text[len(head):], " ")
	}
	return append(parts, cut(text, n))
}

// time writes the time of a line into it.
func (y layout) time(r row, at time.Duration) {
	r.put(0, y.clock, fmt.Sprintf("%*s", y.clock, seconds(at)), styleQuiet)
}

// text is the row as it is printed, without its trailing spaces.
func (r row) text(color bool) string {
	end := len(r)
	for end > 0 && r[end-1].r == ' ' {
		end--
	}
	var b strings.Builder
	now := stylePlain
	for _, c := range r[:end] {
		if color && c.style != now && c.r != ' ' {
			b.WriteString("\x1b[0")
			if s := sequences[c.style]; s != "" {
				b.WriteString(";" + s)
			}
			b.WriteByte('m')
			now = c.style
		}
		if c.r != 0 {
			b.WriteRune(c.r)
		}
	}
	if now != stylePlain {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}
