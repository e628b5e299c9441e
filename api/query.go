package api

import (
	"net/url"
	"strconv"
	"time"

	"github.com/callengine/callengine/state"
)

// maxPageSize is the largest page of call records (docs/journal.md).
const maxPageSize = 10000

// readQuery reads the parameters of a list of calls. Unknown ones and empty ones are ignored.
func readQuery(params url.Values) (state.Query, *failure) {
	q := state.Query{
		From: params.Get("from"), To: params.Get("to"),
		Cause: params.Get("disconnectCause"), After: params.Get("pageToken"),
	}
	var bad *failure
	if q.MinStart, bad = readTime(params, "minStartTime"); bad != nil {
		return q, bad
	}
	if q.MaxStart, bad = readTime(params, "maxStartTime"); bad != nil {
		return q, bad
	}
	if !q.MaxStart.IsZero() {
		// Times are printed with milliseconds: a call's startTime, given back as a limit that includes it, must select it.
		q.MaxStart = q.MaxStart.Truncate(time.Millisecond).Add(time.Millisecond - 1)
	}
	q.Limit, bad = readPageSize(params.Get("pageSize"))
	return q, bad
}

func readPageSize(s string) (int, *failure) {
	if s == "" {
		return state.DefaultLimit, nil
	}
	size, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, invalid("Invalid pageSize: must be an integer")
	case size < 1 || size > maxPageSize:
		return 0, invalid("pageSize must be within the range [1, %d], but was %d", maxPageSize, size)
	}
	return size, nil
}

// readTime reads an ISO 8601 time. Without a zone it is UTC, without a time of day it is midnight.
func readTime(params url.Values, name string) (time.Time, *failure) {
	s := params.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid("Invalid %s: must be an ISO 8601 time", name)
}
