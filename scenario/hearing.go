package scenario

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"go.yaml.in/yaml/v3"
)

// What a phone sounds like that says something: a tone, of a frequency of its own for each text of the scenario, so that
// it is understood without an engine, and in the same way everywhere. None of them is what a node says.
const (
	lowestSaid = 600 // Hz
	saidApart  = 50
	maxSaid    = 56 // up to the 3400 Hz of a telephone
)

// sayStep is something that the phone says.
type sayStep struct {
	besides
	Text string        `yaml:"text" required:"true" doc:"What is said, and understood."`
	Time time.Duration `yaml:"time" doc:"How long it takes. Default: as speech says of sentences."`
}

func (s *sayStep) fromScalar(d *decoder, n *yaml.Node) { d.scalar(n, &s.Text) }

func (s *sayStep) scalarSchema(*schema) map[string]any { return map[string]any{"type": "string"} }

// said returns the texts that phones say in a scenario, each once.
func (s *spec) said() (texts []string) {
	for i := range s.Phone {
		if say := s.Phone[i].Say; say != nil && !slices.Contains(texts, say.Text) {
			texts = append(texts, say.Text)
		}
	}
	return texts
}

// checkSaid holds a scenario to as many texts as there are frequencies.
func (s *spec) checkSaid(d *decoder) {
	texts := s.said()
	for i := range s.Phone {
		if say := s.Phone[i].Say; say != nil && slices.Index(texts, say.Text) >= maxSaid {
			d.errs = append(d.errs, &FileError{d.file.Path, s.Phone[i].line, s.Phone[i].column, "more than 56 texts cannot be told apart"})
			return
		}
	}
}

// say is the sound of what the phone says.
func (r *run) say(s *sayStep) []int16 {
	length := s.Time
	if length == 0 {
		length = r.spec.Speech.length(spoken(s.Text))
	}
	return sine(float64(lowestSaid+saidApart*slices.Index(r.spec.said(), s.Text)), length)
}

// hearing is the service that turns speech into text in scenarios (docs/configuration.md, media.stt.engine: websocket).
type hearing struct{ texts []string }

// What the hearing looks at: sound of so many samples at once. The others are so many times that.
const (
	heardSamples = sampleRate / 50
	leastOfHeard = 6  // that somebody speaks, to be heard
	pauseOfHeard = 30 // of silence that end it
	sameOfHeard  = 60 // of silence between two parts of one text: the phone was late in the middle of it
)

// serve takes a node's WebSocket until everything is said.
func (h *hearing) serve(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been told why
	}
	defer c.CloseNow() // without effect once it is closed
	l := &ear{texts: h.texts, conn: c}
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			err = l.hear(r.Context(), message)
		} else {
			err = l.told(r.Context(), message)
		}
		if err != nil {
			return
		}
	}
}

// ear understands what comes over one WebSocket.
type ear struct {
	texts   []string
	conn    *websocket.Conn
	partial bool
	rest    []byte // less than a frame
	at      int    // frames so far
	start   int    // of what somebody says
	speech  []Frame
	quiet   int // frames of silence at its end
	before  struct {
		text string
		end  int
	}
}

// told takes a text message.
func (l *ear) told(ctx context.Context, message []byte) error {
	var m struct {
		EventType string `json:"eventType"`
		Metadata  struct {
			Partial bool `json:"partialResults"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return err
	}
	switch m.EventType {
	case "start":
		l.partial = m.Metadata.Partial
	case "stop":
		if err := l.understand(ctx); err != nil {
			return err
		}
		return l.conn.Close(websocket.StatusNormalClosure, "")
	}
	return nil
}

// hear takes samples.
func (l *ear) hear(ctx context.Context, sound []byte) error {
	l.rest = append(l.rest, sound...)
	for len(l.rest) >= 2*heardSamples {
		f := Frame{Samples: make([]int16, heardSamples)}
		for i := range f.Samples {
			f.Samples[i] = int16(binary.LittleEndian.Uint16(l.rest[2*i:]))
		}
		l.rest = l.rest[2*heardSamples:]
		if err := l.next(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// next takes the next frame.
func (l *ear) next(ctx context.Context, f Frame) error {
	l.at++
	switch {
	case f.Level() >= loudness:
		if l.speech == nil {
			l.start = l.at - 1
		}
		l.speech, l.quiet = append(l.speech, f), 0
		if len(l.speech) == leastOfHeard && l.partial {
			first, _, _ := strings.Cut(l.text(), " ")
			return l.tell(ctx, first, true)
		}
	case l.speech != nil:
		if l.quiet++; l.quiet >= pauseOfHeard {
			return l.understand(ctx)
		}
	}
	return nil
}

// text is what somebody says; "": nobody understands it.
func (l *ear) text() string {
	sound := Sound{Frames: l.speech}
	for i, text := range l.texts {
		if sound.Tone(float64(lowestSaid+saidApart*i)) < toneShare {
			continue
		}
		if text == l.before.text && l.start-l.before.end < sameOfHeard {
			return "" // it was told
		}
		return text
	}
	return ""
}

// understand tells what somebody has said.
func (l *ear) understand(ctx context.Context) error {
	text := ""
	if len(l.speech) >= leastOfHeard {
		text = l.text()
	}
	err := l.tell(ctx, text, false)
	if text != "" {
		l.before.text, l.before.end = text, l.at-l.quiet
	}
	l.speech, l.quiet = nil, 0
	return err
}

func (l *ear) tell(ctx context.Context, text string, partial bool) error {
	if text == "" {
		return nil
	}
	message, err := json.Marshal(map[string]any{
		"eventType": "transcription", "startTime": at(l.start), "endTime": at(l.at - l.quiet), "isPartial": partial,
		"language": "en-US", "transcript": text, "confidence": 0.9, "items": []any{},
	})
	if err != nil {
		return err
	}
	return l.conn.Write(ctx, websocket.MessageText, message)
}

// at is the time of a frame, in seconds.
func at(frame int) float64 { return float64(frame) * heardSamples / sampleRate }
