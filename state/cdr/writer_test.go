package cdr

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func at(seconds int) *time.Time {
	t := time.Date(2026, 3, 1, 12, 0, seconds, 0, time.UTC)
	return &t
}

func call(id string) state.Record {
	cause := "hangup"
	return state.Record{CallID: id, From: "sip:a@b", State: state.StateDisconnected, StartTime: at(0), AnswerTime: at(2), EndTime: at(12), DisconnectCause: &cause,
		Refers: []state.Refer{{ID: "2", Status: state.ReferSuccess, Billable: true}, {ID: "3", Status: state.ReferFailure}}}
}

func TestADetailHasTheTimesOfTheBill(t *testing.T) {
	t.Parallel()
	d := Of(call("c-1"))
	assert.EqualValues(t, 2000, d.RingMillis)
	assert.EqualValues(t, 10000, d.AnsweredMillis)
	assert.Equal(t, 1, d.BillableRefers)
	unanswered := call("c-2")
	unanswered.AnswerTime = nil
	d = Of(unanswered)
	assert.EqualValues(t, 12000, d.RingMillis)
	assert.Zero(t, d.AnsweredMillis)
	assert.Zero(t, Of(state.Record{}).RingMillis)
}

// linesOf are the records of a directory's files, by file.
func linesOf(t *testing.T, dir string) map[string][]Detail {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	all := map[string][]Detail{}
	for _, name := range names {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(content)) {
			var d Detail
			require.NoError(t, json.Unmarshal([]byte(line), &d))
			all[filepath.Base(name)] = append(all[filepath.Base(name)], d)
		}
	}
	return all
}

func TestFilesBeginAnewWithTheDayAndAtTheirSize(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cdr")
	now := *at(0)
	open := func() *Writer {
		w := New(Config{Dir: dir, MaxBytes: 1500}, zap.NewNop())
		w.now = func() time.Time { return now }
		require.NoError(t, w.Open())
		return w
	}
	w := open()
	for i := range 3 {
		w.Write(call(fmt.Sprintf("c-%d", i)))
	}
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	w.Write(call("c-late"))
	now = now.AddDate(0, 0, 1)
	w = open()
	w.Write(call("c-3"))
	require.NoError(t, w.Close())
	files := linesOf(t, dir)
	require.Len(t, files, 3)
	assert.Len(t, files["cdr-20260301-001.jsonl"], 2)
	assert.Len(t, files["cdr-20260301-002.jsonl"], 1)
	require.Len(t, files["cdr-20260302-001.jsonl"], 1)
	assert.Equal(t, "c-3", files["cdr-20260302-001.jsonl"][0].CallID)

	ids, ended, err := open().Last()
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"c-2": true, "c-3": true}, ids)
	assert.True(t, ended.Equal(*at(12)))
}

func TestOldFilesGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := filepath.Join(dir, "cdr-20200101-001.jsonl")
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-48*time.Hour)))
	other := filepath.Join(dir, "notes")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	require.NoError(t, os.Chtimes(other, time.Time{}, time.Now().Add(-48*time.Hour)))
	w := New(Config{Dir: dir, Retention: 24 * time.Hour}, zap.NewNop())
	require.NoError(t, w.Open())
	w.Write(call("c-1"))
	require.NoError(t, w.Close())
	assert.NoFileExists(t, old)
	assert.FileExists(t, other, "which is none of ours")
}

func TestWhatCannotBeWrittenIsSaidOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cdr")
	core, logs := observer.New(zap.ErrorLevel)
	w := New(Config{Dir: dir}, zap.New(core))
	require.NoError(t, w.Open())
	require.NoError(t, os.RemoveAll(dir))
	for range 3 {
		w.Write(call("c-1"))
	}
	require.NoError(t, w.Close())
	assert.Equal(t, 1, logs.Len())
	assert.Error(t, New(Config{Dir: "/dev/null/cdr"}, zap.NewNop()).Open())
}

func TestItIsKnownSinceWhenRecordsAreWrittenBeforeThereIsOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cdr")
	_, since, err := New(Config{Dir: dir}, zap.NewNop()).Last()
	require.NoError(t, err)
	assert.Zero(t, since, "none were")
	before := time.Now().Add(-time.Second)
	w := New(Config{Dir: dir}, zap.NewNop())
	require.NoError(t, w.Open())
	require.NoError(t, w.Close())
	ids, since, err := New(Config{Dir: dir}, zap.NewNop()).Last()
	require.NoError(t, err)
	assert.Empty(t, ids)
	assert.WithinRange(t, since, before, time.Now().Add(time.Second))
}

func TestALineThatWasCutShortDoesNotSpoilTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := New(Config{Dir: dir}, zap.NewNop())
	w.now = func() time.Time { return *at(0) }
	name := filepath.Join(dir, "cdr-20260301-001.jsonl")
	require.NoError(t, os.WriteFile(name, []byte(`{"callId":"c-0","fr`), 0o600))
	require.NoError(t, w.Open())
	w.Write(call("c-1"))
	require.NoError(t, w.Close())
	ids, _, err := w.Last()
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"c-1": true}, ids)
}
