package transcribe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"go.uber.org/zap"
)

// SampleRate is that of all sound here: samples a second.
const SampleRate = 8000

// DefaultLanguage is assumed where nothing else is said, and the only one that pocketsphinx knows.
const DefaultLanguage = "en-US"

// Engines.
const (
	EnginePocketsphinx = "pocketsphinx"
	EngineWebSocket    = "websocket"
	EngineNone         = "none"
)

// Config is what users set.
type Config struct {
	Engine    string // EnginePocketsphinx (also when empty), EngineWebSocket or EngineNone
	URL       string // of EngineWebSocket: ws or wss; user information in it is sent as HTTP Basic
	Processes int    // of EnginePocketsphinx: how many may run at once; 0: as many as there are processors
}

// Sound is 16-bit samples, mono, [SampleRate] a second, read by the rules of [io.Reader]. It may wait for samples.
type Sound interface {
	ReadFrame(dst []int16) (n int, err error)
}

// Options say what is wanted of a transcription. A provider does what it can of them.
type Options struct {
	Language        string   // BCP 47; "": DefaultLanguage
	DetectLanguage  bool     // find out which it is
	Hints           []string // words and phrases that are likely
	Model           string   // the provider's own name of a model; "": its default
	ProfanityFilter bool     // leave profane words out
	Partial         bool     // results that are not final are wanted, too
	CallID          string   // for the log, and for providers to tell calls apart
	Track           string   // "inbound" or "outbound", likewise
}

// Transcriber is a provider. It is asked by several goroutines at once.
type Transcriber interface {
	// Transcribe reads sound to its end and tells results as they come: one call of tell at a time, in the order of the
	// sound, the last before it returns. It returns nil when all of the sound was transcribed, the cause of ctx, the
	// error of sound, or one of this package: [*MissingError], [*ConnectError], [*EngineError]. What was told before counts.
	Transcribe(ctx context.Context, sound Sound, o Options, tell func(Result)) error
}

// Result is the text of a stretch of the sound. A final one takes the place of the partial ones since the last final one.
type Result struct {
	Partial    bool
	Start, End time.Duration // from the beginning of the sound
	Language   string        // BCP 47
	Text       string        // "": somebody spoke, and nothing was understood
	Confidence float64       // 0 to 1
	Items      []Item        // may be missing
}

// Item is a word of a result, or a punctuation mark.
type Item struct {
	Content     string
	Start, End  time.Duration
	Confidence  float64 // 0 to 1
	Stable      bool    // it will not change any more
	Punctuation bool
}

// MissingError says that there is nothing to transcribe with.
type MissingError struct{ What string }

func (e *MissingError) Error() string { return e.What }

// ConnectError says that a WebSocket could not be had, or broke.
type ConnectError struct{ Err error }

func (e *ConnectError) Error() string { return fmt.Sprintf("connection failed: %v", e.Err) }

// Unwrap returns what was behind it.
func (e *ConnectError) Unwrap() error { return e.Err }

// EngineError is a failure of a provider.
type EngineError struct {
	Engine string
	Reason string
	Err    error // may be nil
}

func (e *EngineError) Error() string { return e.Engine + ": " + e.Reason }

// Unwrap returns what was behind it.
func (e *EngineError) Unwrap() error { return e.Err }

// ErrSlow is within an [*EngineError] of a provider that took too long.
var ErrSlow = errors.New("the engine took too long")

// New makes the configured provider. client connects for EngineWebSocket; its rules about addresses hold.
func New(cfg Config, client *http.Client, log *zap.Logger) (Transcriber, error) {
	switch cfg.Engine {
	case "", EnginePocketsphinx:
		if cfg.Processes <= 0 {
			cfg.Processes = runtime.NumCPU()
		}
		return newPocketsphinx(cfg.Processes, log), nil
	case EngineWebSocket:
		return newWebSocket(cfg.URL, client)
	case EngineNone:
		return none{}, nil
	}
	return nil, fmt.Errorf("media.stt.engine: %q is none of %s, %s and %s", cfg.Engine, EnginePocketsphinx, EngineWebSocket, EngineNone)
}

// Missing says what a provider lacks before it can work; "": nothing that it knows of.
func Missing(t Transcriber) string {
	if m, ok := t.(interface{ missing() string }); ok {
		return m.missing()
	}
	return ""
}

// none is EngineNone.
type none struct{}

func (none) missing() string { return "transcription is switched off (media.stt.engine: none)" }

func (n none) Transcribe(context.Context, Sound, Options, func(Result)) error {
	return &MissingError{What: n.missing()}
}
