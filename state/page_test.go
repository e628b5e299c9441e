package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// filled has the calls c-0, c-1, …, a minute apart; every other one has ended.
func filled(t *testing.T, calls int) *Memory {
	t.Helper()
	m := NewMemory(MemoryConfig{})
	for i := range calls {
		e := initiated(fmt.Sprintf("c-%d", i))
		e.Call.At = began.Add(time.Duration(i) * time.Minute)
		e.Call.From = fmt.Sprintf("sip:u%d@b", i%3)
		appended(t, m, e)
		if i%2 == 1 {
			appended(t, m, ended(e.CallID))
		}
	}
	return m
}

func ids(records []Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.CallID)
	}
	return ids
}

func TestRecordsAreSelected(t *testing.T) {
	t.Parallel()
	m := filled(t, 6)
	for name, tc := range map[string]struct {
		query Query
		want  []string
	}{
		"everything, oldest first":  {Query{}, []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-5"}},
		"from":                      {Query{From: "sip:u1@b"}, []string{"c-1", "c-4"}},
		"to":                        {Query{To: "sip:c@d"}, []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-5"}},
		"to nobody":                 {Query{To: "sip:nobody@d"}, nil},
		"cause":                     {Query{Cause: "hangup"}, []string{"c-1", "c-3", "c-5"}},
		"start, limits inclusive":   {Query{MinStart: began.Add(time.Minute), MaxStart: began.Add(3 * time.Minute)}, []string{"c-1", "c-2", "c-3"}},
		"start, lower limit alone":  {Query{MinStart: began.Add(4 * time.Minute)}, []string{"c-4", "c-5"}},
		"start, limits and a cause": {Query{MaxStart: began.Add(time.Minute), Cause: "hangup"}, []string{"c-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records, next, err := m.Records(t.Context(), tc.query)
			require.NoError(t, err)
			assert.Equal(t, tc.want, ids(records))
			assert.Empty(t, next)
		})
	}
}

func TestPagesFollowOneAnother(t *testing.T) {
	t.Parallel()
	for limit := 1; limit <= 8; limit++ {
		m := filled(t, 7)
		var all []string
		query := Query{Limit: limit}
		for {
			records, next, err := m.Records(t.Context(), query)
			require.NoError(t, err)
			require.LessOrEqual(t, len(records), limit)
			require.NotEmpty(t, records, "a page that was announced is not empty")
			all = append(all, ids(records)...)
			if next == "" {
				break
			}
			query.After = next
		}
		assert.Equal(t, []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-5", "c-6"}, all)
	}
}

func TestAPageFollowsAlsoWhenTheOneBeforeIsGone(t *testing.T) {
	t.Parallel()
	m := filled(t, 6)
	_, next, err := m.Records(t.Context(), Query{Cause: "hangup", Limit: 1})
	require.NoError(t, err)
	m.maxBytes = 1 // an entry more, and c-1, c-3 and c-5 are gone
	appended(t, m, initiated("c-6"))
	records, _, err := m.Records(t.Context(), Query{After: next})
	require.NoError(t, err)
	assert.Equal(t, []string{"c-2", "c-4", "c-6"}, ids(records))
}

func TestAForeignPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	m := filled(t, 2)
	for _, token := range []string{"x", "AQ", "AA", "!!", "AQE=", "AQGA", "AgE", "AQA"} {
		_, _, err := m.Records(t.Context(), Query{After: token})
		assert.ErrorIs(t, err, ErrPageToken, token)
	}
}

func FuzzPageToken(f *testing.F) {
	for _, n := range []uint64{1, 127, 128, 1 << 40, 1<<64 - 1} {
		f.Add(pageToken(n))
	}
	f.Add("AQGA")
	f.Fuzz(func(t *testing.T, token string) {
		n, err := readPageToken(token)
		if err == nil && token != "" {
			require.Equal(t, token, pageToken(n), "a token has one form")
		}
	})
}
