package state

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// DefaultLimit is the size of a page where a [Query] names none.
const DefaultLimit = 1000

// ErrPageToken is returned for a [Query] whose After is no token of the store's own.
var ErrPageToken = errors.New("not a page token of this store")

// pageVersion starts every token, so that another form can be told from this one.
const pageVersion = 1

// pageToken names the place behind the call with this number.
func pageToken(number uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint([]byte{pageVersion}, number))
}

// readPageToken returns the number of the last call of the page before; 0 without a token.
func readPageToken(token string) (number uint64, err error) {
	if token == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != pageVersion {
		return 0, ErrPageToken
	}
	number, n := binary.Uvarint(b[1:])
	if n != len(b)-1 || number == 0 || pageToken(number) != token {
		return 0, ErrPageToken
	}
	return number, nil
}

// Page is a page of records, in order.
type Page struct {
	Found []Numbered `json:"found"`
	More  bool       `json:"more"` // there are others behind them
}

// Numbered is a record with its call's place among all: about when the call appeared, in nanoseconds.
type Numbered struct {
	Number uint64 `json:"number"`
	Record Record `json:"record"`
}

// Records returns the page as [Store] has it.
func (p Page) Records() (records []Record, next string) {
	for _, f := range p.Found {
		records = append(records, f.Record)
	}
	if p.More {
		next = pageToken(p.Found[len(p.Found)-1].Number)
	}
	return records, next
}

// MergePages makes one page of those of several stores, which were asked the same.
func MergePages(q Query, pages ...Page) Page {
	_, limit, _ := q.page() // a bad token has been refused by the stores
	var all Page
	for _, p := range pages {
		all.Found = append(all.Found, p.Found...)
		all.More = all.More || p.More
	}
	slices.SortStableFunc(all.Found, func(a, b Numbered) int { return cmp.Compare(a.Number, b.Number) })
	if len(all.Found) > limit {
		all.Found, all.More = all.Found[:limit], true
	}
	all.More = all.More && len(all.Found) > 0
	return all
}

// someLen is how many calls a reader of records looks at without letting go of the lock.
const someLen = 1000

// listed is what a reader of records needs of a call.
type listed struct {
	id     string
	number uint64
	record Record // without a call's id: it is elsewhere
	sealed []byte // nil: it is on disk alone
}

func (c *stored) listed() listed {
	l := listed{id: c.id, number: c.number, sealed: c.sealed}
	if c.held != nil {
		l.record = c.record
	}
	return l
}

// some returns the next calls behind a number.
func (x *index) some(after uint64) []listed {
	calls := x.after(after)
	some := make([]listed, 0, min(len(calls), someLen))
	for _, c := range calls[:min(len(calls), someLen)] {
		some = append(some, c.listed())
	}
	return some
}
