package state

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSheetsAreUsedAgainAndGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	var p paper
	text := bytes.Repeat([]byte("0123456789"), sheetLen)
	sheets := p.write(p.write(nil, text[:5]), text[5:])
	assert.Len(t, sheets, 10)
	assert.Equal(t, text, bytes.Join(sheets, nil))
	p.reuse(sheets)
	assert.Len(t, p.spare, 10)
	assert.Equal(t, [][]byte{[]byte("new")}, p.write(nil, []byte("new")))
	assert.Len(t, p.spare, 9)
	for range spareSheets {
		p.reuse(sheets)
	}
	assert.Len(t, p.spare, spareSheets)
	for want := spareSheets / 2; want > 0; want /= 2 {
		p.shed()
		assert.Len(t, p.spare, want)
	}
	p.shed()
	assert.Empty(t, p.spare)
	assert.Nil(t, p.spare[:1][0], "nothing holds on to it")
}

// A message has of a call what lies between two marks, on however many sheets that is.
func TestAMessageTakesWhatLiesBetweenMarks(t *testing.T) {
	t.Parallel()
	var paper paper
	p := pages{before: 10}
	text := bytes.Repeat([]byte("0123456789"), 1000)
	add := func(n int) {
		p.sheets = paper.write(p.sheets, text[p.size:p.size+n])
		p.size += n
	}
	add(3000) // entry 11
	begin, end := p.next(10, 11)
	assert.Equal(t, []mark{{10, 0}, {11, 3000}}, []mark{begin, end})
	add(2000) // 12, while that is on its way
	add(4000) // 13
	begin, end = p.next(11, 13)
	assert.Equal(t, []mark{{11, 3000}, {13, 9000}}, []mark{begin, end})
	var message bytes.Buffer
	p.write(&message, begin.at, end.at)
	assert.Equal(t, text[3000:9000], message.Bytes())

	// Neither arrived: the same messages are sent again, and what has come meanwhile is another.
	add(500) // 14
	for from, want := range map[uint64]mark{10: {11, 3000}, 11: {13, 9000}, 13: {14, 9500}} {
		_, end := p.next(from, 14)
		assert.Equal(t, want, end)
	}
	p.wrote(11)
	begin, end = p.next(11, 14)
	assert.Equal(t, []mark{{11, 3000}, {13, 9000}}, []mark{begin, end})
	p.wrote(13)
	begin, _ = p.next(13, 14)
	assert.Equal(t, mark{13, 9000}, begin)
	assert.Equal(t, part{first: 11, entries: text[:9500]}, p.part())
}
