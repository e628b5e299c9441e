package transcripts

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func text(id, callID string, completed time.Time) Transcription {
	return Transcription{
		ID: id, CallID: callID, AccountID: "1", Name: "name of " + id, Completed: completed.UTC(),
		Tracks: []Track{{Name: "inbound", Language: "en-US", Text: "yes", Confidence: 0.5}},
	}
}

func TestTextsOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made with the first of them")
	a := New(dir, time.Hour, zap.NewNop())
	require.NoError(t, a.Open())
	assert.NoDirExists(t, dir)
	now := time.Now().Round(0)
	require.NoError(t, a.Put(text("t-2", "c-1", now.Add(time.Second))))
	require.NoError(t, a.Put(text("t-1", "c-1", now.Add(2*time.Second))))
	require.NoError(t, a.Put(text("t-3", "c-2", now)))
	a.Close()
	info, err := os.Stat(filepath.Join(dir, "t-1.json"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	a = New(dir, time.Hour, zap.NewNop())
	require.NoError(t, a.Open())
	defer a.Close()
	assert.Equal(t, []Reference{{"t-2", "name of t-2"}, {"t-1", "name of t-1"}}, a.List("c-1"))
	assert.Empty(t, a.List("c-3"))
	got, err := a.Get("c-1", "t-2")
	require.NoError(t, err)
	assert.Equal(t, text("t-2", "c-1", now.Add(time.Second)), got)
	for _, ids := range [][2]string{{"c-2", "t-2"}, {"c-1", "t-9"}, {"c-1", "../t-2"}, {"", ""}} {
		_, err := a.Get(ids[0], ids[1])
		assert.ErrorIs(t, err, ErrNotFound)
		assert.ErrorIs(t, a.Delete(ids[0], ids[1]), ErrNotFound)
	}
	require.NoError(t, a.Delete("c-1", "t-2"))
	_, err = a.Get("c-1", "t-2")
	assert.ErrorIs(t, err, ErrNotFound)
	assert.NoFileExists(t, filepath.Join(dir, "t-2.json"))
	require.NoError(t, os.Remove(filepath.Join(dir, "t-1.json")))
	_, err = a.Get("c-1", "t-1")
	assert.ErrorIs(t, err, ErrNotFound, "it was deleted by hand")
}

func TestFilesThatAreNoTextsAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"t-1.json": "{", "t-2.json": `{"transcriptionId":"t-3"}`, "notes.txt": "", "t-4.json.tmp": "{"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	core, logs := observer.New(zap.ErrorLevel)
	a := New(dir, time.Hour, zap.New(core))
	require.NoError(t, a.Open())
	defer a.Close()
	assert.Equal(t, 2, logs.Len())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 4)
}

func TestTextsAreDeletedWhenTheyAreTooOld(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := New(dir, 24*time.Hour, zap.NewNop())
		require.NoError(t, a.Open())
		defer a.Close()
		require.NoError(t, a.Put(text("t-1", "c-1", time.Now())))
		time.Sleep(12 * time.Hour)
		require.NoError(t, a.Put(text("t-2", "c-1", time.Now())))
		time.Sleep(14 * time.Hour)
		assert.Equal(t, []Reference{{"t-2", "name of t-2"}}, a.List("c-1"))
		assert.NoFileExists(t, filepath.Join(dir, "t-1.json"))
	})
}

func TestAFolderThatCannotBeWrittenIsAnErrorAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a file")
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	a := New(dir, time.Hour, zap.NewNop())
	require.Error(t, a.Put(text("t-1", "c-1", time.Now())))
	assert.Empty(t, a.List("c-1"))
	require.Error(t, a.Open())
}
