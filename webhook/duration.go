package webhook

import (
	"strconv"
	"time"
)

// Duration is a duration as events and the API print it: ISO 8601, to the millisecond: "PT20.056S", "PT1M12.5S", "PT2H". A
// negative one, of a clock that was set back, is none.
type Duration time.Duration

// String returns the duration in ISO 8601.
func (d Duration) String() string {
	left := max(0, time.Duration(d).Round(time.Millisecond))
	text := "PT"
	if h := left / time.Hour; h > 0 {
		text += strconv.Itoa(int(h)) + "H"
	}
	if m := left % time.Hour / time.Minute; m > 0 {
		text += strconv.Itoa(int(m)) + "M"
	}
	if s := left % time.Minute; s > 0 || text == "PT" {
		text += strconv.FormatFloat(float64(s.Milliseconds())/1000, 'f', -1, 64) + "S"
	}
	return text
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
