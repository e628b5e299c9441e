package verbs

import (
	"context"
	"strings"
	"time"
)

// SendDtmf presses keys, for the other side to hear.
type SendDtmf struct {
	heading
	Strokes []Stroke
}

var sendDTMFDef = definition{
	name: "SendDtmf",
	attributes: []attribute{
		numberAttr("toneDuration").or("200").atLeast(50).atMost(5000).in(time.Millisecond),
		numberAttr("toneInterval").or("400").atLeast(50).atMost(5000).in(time.Millisecond),
	},
	text:             text{requiredText, formatDTMF},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &SendDtmf{n.heading(), strokes(n.text, n.duration("toneDuration"), n.duration("toneInterval"))}
	},
}

// pauses are those that stand for a character; they take the place of the interval behind a tone.
var pauses = map[rune]time.Duration{',': 500 * time.Millisecond, 'w': 500 * time.Millisecond, 'W': time.Second}

// strokes reads digits and pauses.
func strokes(text string, length, interval time.Duration) (all []Stroke) {
	paused := false // a pause stands behind the newest tone
	for _, c := range text {
		pause, isPause := pauses[c]
		switch {
		case !isPause:
			all, paused = append(all, Stroke{strings.ToUpper(string(c))[0], length, interval}), false
		case len(all) == 0:
			all, paused = append(all, Stroke{Pause: pause}), true
		case paused:
			all[len(all)-1].Pause += pause
		default:
			all[len(all)-1].Pause, paused = pause, true
		}
	}
	return all
}

// Execute needs a [Dialer].
func (s *SendDtmf) Execute(ctx context.Context, call Call) (Outcome, error) {
	dialer, ok := call.(Dialer)
	if !ok {
		return Outcome{}, s.lacks("send digits")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	return Outcome{}, ended(ctx, dialer.SendDigits(ctx, s.Strokes))
}

// unitNames are the units of numbers as messages write them.
var unitNames = map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}
