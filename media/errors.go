package media

import (
	"errors"
	"fmt"
	"net/url"
)

// ErrNoPorts means that every pair of ports of the range is in use, or rests from its last use.
var ErrNoPorts = errors.New("no RTP port is free")

// ErrClosed is returned for a session or an engine that was closed.
var ErrClosed = errors.New("media closed")

// AudioError means that an audio file could not be fetched or decoded.
type AudioError struct {
	URL    string // without its user information
	Reason string // what was wrong, for the application's author
	Err    error  // what lies beneath; may be nil
}

func (e *AudioError) Error() string { return fmt.Sprintf("audio %s: %s", e.URL, e.Reason) }

func (e *AudioError) Unwrap() error { return e.Err }

// MissingError means that nothing is there to speak with.
type MissingError struct {
	What string // what is missing and how to get it
}

func (e *MissingError) Error() string { return e.What }

// SpeechError means that the speech engine failed.
type SpeechError struct {
	Engine string // "espeak-ng"
	Reason string // what the engine said, or how it ended
	Err    error  // may be nil
}

func (e *SpeechError) Error() string { return fmt.Sprintf("speech engine %s: %s", e.Engine, e.Reason) }

func (e *SpeechError) Unwrap() error { return e.Err }

// maskURL returns address without its user information, which may hold a password.
func maskURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(unreadable URL)" // it may hold a password anywhere
	}
	u.User = nil
	return u.String()
}
