package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// ErrTimeout is the reason of an attempt that had not got the last byte of its reply in time.
var ErrTimeout = errors.New("no complete reply in time")

// DeliveryError says that an event could not be delivered, and why. Its text holds no secrets: neither user information
// nor the query of a URL.
type DeliveryError struct {
	EventType string
	URL       string         // of the last request, without user information and query; may be empty
	Fallback  bool           // the last request went to the fallback URL
	Status    int            // of the last reply; 0: there was none
	Err       error          // why there was no reply, or no complete one; nil: the status says it
	Attempts  int            // requests to this URL, redirects not counted
	Before    *DeliveryError // Fallback: how the first URL failed

	retryAfter time.Duration // what the reply asked for; 0: nothing
}

// Error implements error.
func (e *DeliveryError) Error() string {
	text := e.EventType + " could not be delivered: "
	if e.Before != nil {
		text += e.Before.reason() + "; fallback "
	}
	return text + e.reason()
}

func (e *DeliveryError) reason() string {
	var b strings.Builder
	if e.URL != "" {
		b.WriteString(e.URL + ": ")
	}
	switch {
	case e.Err != nil && e.Status != 0:
		fmt.Fprintf(&b, "status %d: %v", e.Status, e.Err)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		b.WriteString(strings.TrimSpace(fmt.Sprintf("status %d %s", e.Status, http.StatusText(e.Status))))
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (%d attempts)", e.Attempts)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *DeliveryError) Unwrap() error { return e.Err }

// temporary reports whether the event may be delivered later (docs/webhooks.md): what did not reach the application, and
// the statuses by which it asks for another time. A refusal is the configuration's: somebody has to change it.
func (e *DeliveryError) temporary() bool {
	switch e.Status {
	case 0:
		return !errors.Is(e.Err, ErrRefused)
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500 && e.Status <= 599
}

// safeError is an error whose text may be shown.
type safeError struct {
	text string
	err  error
}

func (e *safeError) Error() string { return e.text }
func (e *safeError) Unwrap() error { return e.err }

const maxReason = 200 // runes of a reason; parts of a reply may be in it

// addresses matches URLs, absolute or without a scheme, in a text.
var addresses = regexp.MustCompile(`(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^\s"'<>]+`)

// safe returns an error of net/http as it may be shown: without the URLs that it quotes, on one line, of limited length.
func safe(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrTimeout) {
		return err // our own words
	}
	text := []rune(addresses.ReplaceAllStringFunc(err.Error(), func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			return "//…"
		}
		return withoutQuery(u)
	}))
	for i, r := range text {
		if !unicode.IsPrint(r) {
			text[i] = ' '
		}
	}
	if len(text) > maxReason {
		text = append(text[:maxReason], '…')
	}
	return &safeError{string(text), err}
}

// withoutQuery prints a URL for errors and logs: a query often holds a key of the application.
func withoutQuery(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery != "" {
		return shown.String() + "?…"
	}
	return shown.String()
}
