package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Event is one HTTP request that an application has received.
type Event struct {
	Time   time.Time
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   []byte
	// Properties are those of the JSON object in the body, with numbers as json.Number, or by GET the query's, as strings.
	Properties map[string]any
}

func newEvent(r *http.Request, body []byte) *Event {
	e := &Event{
		Time: time.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(),
		Body: body, Properties: map[string]any{},
	}
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&e.Properties); err == nil {
			return e
		}
		e.Properties = map[string]any{} // a body that is no JSON object is seen in Body
	}
	for name, values := range e.Query {
		e.Properties[name] = values[0]
	}
	return e
}

// Type is the property eventType.
func (e *Event) Type() string { return e.Text("eventType") }

// ID is the header that names the event, the same in every delivery of it.
func (e *Event) ID() string { return e.Header.Get("Callengine-Event-Id") }

// Has reports whether a property is there, null included.
func (e *Event) Has(name string) bool {
	_, ok := e.Properties[name]
	return ok
}

// Text returns a property as text; "" if it is not there.
func (e *Event) Text(name string) string {
	v, ok := e.Properties[name]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

// Absent is the value of a property that must not be there at all, not even as null.
const Absent = absent("absent")

// Present is the value of a property of which only the presence is wanted.
const Present = absent("present")

type absent string

// Check compares properties with what they should be: a string, an int (which must be a number in JSON), a bool, or
// [Absent] or [Present]. The error tells of every difference.
func (e *Event) Check(want map[string]any) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if err := e.check(name, want[name]); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", e, errors.Join(errs...))
}

func (e *Event) check(name string, want any) error {
	got, ok := e.Properties[name]
	switch {
	case want == Absent && ok:
		return fmt.Errorf("%s is %v, want it absent", name, got)
	case want == Absent, want == Present && ok:
		return nil
	case !ok:
		return fmt.Errorf("%s is absent, want %v", name, want)
	}
	if _, isInt := want.(int); isInt && e.fromJSON() {
		if _, isNumber := got.(json.Number); !isNumber {
			return fmt.Errorf("%s is %#v, want a number", name, got)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s is %v, want %v", name, got, want)
	}
	return nil
}

func (e *Event) fromJSON() bool { return len(e.Body) > 0 }

// String names the event in a line.
func (e *Event) String() string {
	s := e.Method + " " + e.Path
	if e.Type() != "" {
		s += " " + e.Type()
	}
	for _, name := range []string{"referCallStatus", "referSipResponseCode", "notifySipResponseCode", "cause", "errorMessage"} {
		if e.Has(name) {
			s += " " + name + "=" + strings.TrimSpace(e.Text(name))
		}
	}
	return s
}
