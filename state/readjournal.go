package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line of a journal that is read: the longest texts, a document of 64 KB and a SIP message, take
// at most six times as much in JSON.
const maxLine = 1 << 20

// ReadJournal reads entries as JSON lines, as the API writes them. Empty lines are skipped. Entries of a type that this
// version does not know, and properties that it does not know, are no error: such an entry has no payload.
//
// The error names the line that is not an entry, or says what r said; what was read before it is returned.
func ReadJournal(r io.Reader) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return entries, fmt.Errorf("journal, line %d: %w", n, err)
		}
		entries = append(entries, e)
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return entries, fmt.Errorf("journal, line %d: longer than %d bytes", n+1, maxLine)
	}
	return entries, err
}
