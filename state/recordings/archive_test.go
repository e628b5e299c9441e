package recordings

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
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

// shelf is a store in memory, which can be closed.
type shelf struct {
	mu    sync.Mutex
	err   error
	hangs bool
	tries int
	files map[string]string
}

var _ Store = (*shelf)(nil)

func (s *shelf) enter(ctx context.Context) error {
	s.mu.Lock()
	s.tries++
	hangs, err := s.hangs, s.err
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (s *shelf) Put(ctx context.Context, key, path, contentType string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[key] = contentType + ": " + string(b)
	return nil
}

func (s *shelf) Get(context.Context, string) (io.ReadSeekCloser, error) {
	return nil, errors.ErrUnsupported
}

func (s *shelf) Delete(ctx context.Context, key string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, key)
	return nil
}

func (s *shelf) set(f func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *shelf) has() (files map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files = map[string]string{}
	for k, v := range s.files {
		files[k] = v
	}
	return files
}

// settled takes note of what is settled.
type settled struct {
	mu   sync.Mutex
	err  error
	list []Recording
}

func (s *settled) settle(_ context.Context, r Recording) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.list = append(s.list, r)
	return nil
}

func (s *settled) all() []Recording {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// opened is an archive in a folder.
func opened(t *testing.T, dir string, opts ...Option) *Archive {
	t.Helper()
	a := New(Config{Dir: dir}, opts...)
	require.NoError(t, a.Open())
	return a
}

// recorded is a recording that is over, whose file holds "sound", and that has a wish.
func recorded(t *testing.T, a *Archive, id string) Recording {
	t.Helper()
	r := begun(t, a, id)
	require.NoError(t, a.Finish(id, func(r *Recording) { r.Outcome, r.Duration, r.EndTime = Complete, time.Second, time.Now() }))
	return r
}

func begun(t *testing.T, a *Archive, id string) Recording {
	t.Helper()
	r := Recording{ID: id, CallID: "c-1", Format: "wav", Channels: 1, StartTime: time.Now(), Wishes: json.RawMessage(`"tell"`)}
	file, err := a.Begin(r)
	require.NoError(t, err)
	_, err = file.WriteString("sound")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return r
}

// get reads what is known of a recording.
func get(t *testing.T, a *Archive, id string) Recording {
	t.Helper()
	r, err := a.Get("c-1", id)
	require.NoError(t, err)
	return r
}

// filesIn are the files below a folder.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	for _, f := range found {
		names = append(names, filepath.Base(f))
		info, err := os.Stat(f)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f)
	}
	return names
}

func TestARecordingIsProcessingUntilItsFileIsWhereItStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), &settled{}
		a := opened(t, dir, WithSettle(s.settle))
		defer a.Close()
		begun(t, a, "r-1")
		synctest.Wait()
		assert.Equal(t, Processing, get(t, a, "r-1").Status)
		_, _, err := a.Media(t.Context(), "c-1", "r-1")
		assert.ErrorIs(t, err, ErrNoMedia)
		assert.Empty(t, s.all())
		require.NoError(t, a.Finish("r-1", func(r *Recording) { r.Outcome = Complete }))
		assert.Zero(t, a.Idle(t.Context()))
		require.Len(t, s.all(), 1)
		assert.Equal(t, Complete, s.all()[0].Status)
		assert.Equal(t, Complete, get(t, a, "r-1").Status)
		assert.Empty(t, get(t, a, "r-1").Wishes)
		sound, _, err := a.Media(t.Context(), "c-1", "r-1")
		require.NoError(t, err)
		b, err := io.ReadAll(sound)
		require.NoError(t, err)
		require.NoError(t, sound.Close())
		assert.Equal(t, "sound", string(b))
		assert.Equal(t, []string{"r-1.json", "r-1.wav"}, filesIn(t, dir))
		_, err = a.Get("c-2", "r-1")
		assert.ErrorIs(t, err, ErrNotFound)
	})
}

func TestAStoreThatStopsAnsweringCostsNoRecording(t *testing.T) {
	for name, fault := range map[string]func(*shelf){
		"it refuses": func(s *shelf) { s.err = errors.New("no") },
		"it hangs":   func(s *shelf) { s.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, s, store := t.TempDir(), &settled{}, &shelf{files: map[string]string{}}
				counted := map[Result]int{}
				a := opened(t, dir, WithSettle(s.settle), WithStore(store), WithCounter(func(r Result) { counted[r]++ }))
				defer a.Close()
				store.set(fault)
				r := recorded(t, a, "r-1")
				time.Sleep(time.Hour)
				synctest.Wait()
				assert.Equal(t, Processing, get(t, a, "r-1").Status)
				assert.Empty(t, s.all(), "nobody is told before it can be had")
				assert.Equal(t, 1, a.Waiting())
				store.mu.Lock()
				assert.InDelta(t, 60, store.tries, 30)
				store.mu.Unlock()
				store.set(func(s *shelf) { s.err, s.hangs = nil, false })
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				assert.Equal(t, map[string]string{r.key(): "audio/vnd.wave: sound"}, store.has())
				assert.Equal(t, Complete, get(t, a, "r-1").Status)
				require.Len(t, s.all(), 1)
				assert.Equal(t, []string{"r-1.json"}, filesIn(t, dir), "the sound is in the store alone")
				assert.Zero(t, a.Waiting())
				assert.Equal(t, 1, counted[Uploaded])
				assert.Positive(t, counted[UploadFailed])
			})
		})
	}
}

func TestWhatIsLeftToDoIsDoneAfterTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, store := t.TempDir(), &shelf{files: map[string]string{}, err: errors.New("no")}
		first := &settled{}
		a := opened(t, dir, WithSettle(first.settle), WithStore(store))
		recorded(t, a, "r-1") // waits for the store
		begun(t, a, "r-2")    // goes on
		synctest.Wait()
		a.Close()
		assert.Empty(t, first.all())
		store.set(func(s *shelf) { s.err = nil })
		second := &settled{}
		a = opened(t, dir, WithSettle(second.settle), WithStore(store), WithRepair(func(path, format string, channels int) (time.Duration, error) {
			assert.Equal(t, "r-2.wav", filepath.Base(path))
			return 90 * time.Second, nil
		}))
		assert.Zero(t, a.Idle(t.Context()))
		assert.Len(t, store.has(), 2)
		assert.Len(t, second.all(), 2)
		assert.Equal(t, Complete, get(t, a, "r-1").Status)
		r := get(t, a, "r-2")
		assert.Equal(t, Partial, r.Status)
		assert.Equal(t, "the node ended before the recording did", r.Reason)
		assert.Equal(t, 90*time.Second, r.Duration)
		assert.Equal(t, r.StartTime.Add(90*time.Second), r.EndTime)
		assert.EqualValues(t, 5, r.Bytes)
		a.Close()
		third := &settled{}
		a = opened(t, dir, WithSettle(third.settle), WithStore(store))
		assert.Zero(t, a.Idle(t.Context()))
		assert.Empty(t, third.all(), "once is enough")
		assert.Len(t, a.List(Query{}), 2)
		a.Close()
	})
}

func TestWhatCannotBeSettledIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settled{err: errors.New("the ledger is full")}
		a := opened(t, t.TempDir(), WithSettle(s.settle))
		defer a.Close()
		recorded(t, a, "r-1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.Equal(t, 1, a.Idle(ctx))
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		assert.Zero(t, a.Idle(t.Context()))
		assert.Len(t, s.all(), 1)
	})
}

func TestARecordingThatCouldNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settled{}
		blocked := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(blocked, nil, 0o600)) // where the folder should be
		core, logs := observer.New(zap.ErrorLevel)
		a := New(Config{Dir: filepath.Join(blocked, "x")}, WithSettle(s.settle), WithLogger(zap.New(core)))
		require.Error(t, a.Open())
		a = New(Config{Dir: blocked}, WithSettle(s.settle), WithLogger(zap.New(core)))
		require.NoError(t, a.Open())
		defer a.Close()
		r := Recording{ID: "r-1", CallID: "c-1", Format: "wav", StartTime: time.Now(), Wishes: json.RawMessage(`"tell"`)}
		_, err := a.Begin(r)
		require.Error(t, err)
		assert.Empty(t, a.List(Query{}))
		a.Fail(r, "no room")
		a.Idle(t.Context())
		require.Len(t, s.all(), 1)
		assert.Equal(t, Failed, s.all()[0].Status)
		assert.Equal(t, "no room", get(t, a, "r-1").Reason)
		assert.NotZero(t, logs.Len(), "its description could not be written")
	})
}

func TestDeletedRecordingsAreGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, store := t.TempDir(), &shelf{files: map[string]string{}}
		a := opened(t, dir, WithStore(store))
		for _, id := range []string{"r-1", "r-2", "r-3"} {
			recorded(t, a, id)
			require.NoError(t, a.Attach("c-1", id, "transcript", []byte("{}")))
		}
		begun(t, a, "r-4")
		assert.Zero(t, a.Idle(t.Context()))
		assert.Len(t, store.has(), 3)
		store.set(func(s *shelf) { s.err = errors.New("no") })
		require.NoError(t, a.DeleteMedia("c-1", "r-1"))
		require.NoError(t, a.Delete("c-1", "r-2"))
		require.NoError(t, a.Delete("c-1", "r-4"))
		assert.Equal(t, Deleted, get(t, a, "r-1").Status)
		assert.ErrorIs(t, a.DeleteMedia("c-1", "r-1"), ErrNoMedia)
		for _, id := range []string{"r-2", "r-4"} {
			_, err := a.Get("c-1", id)
			assert.ErrorIs(t, err, ErrNotFound)
			assert.ErrorIs(t, a.Delete("c-1", id), ErrNotFound)
		}
		assert.Len(t, a.List(Query{CallID: "c-1"}), 2)
		synctest.Wait()
		assert.Len(t, store.has(), 3, "the store does not answer")
		assert.ErrorIs(t, a.Finish("r-4", func(*Recording) {}), ErrNotFound, "it was deleted while it went on")
		a.Close()
		a = opened(t, dir, WithStore(store))
		_, err := a.Get("c-1", "r-2")
		assert.ErrorIs(t, err, ErrNotFound, "nor after a restart")
		store.set(func(s *shelf) { s.err = nil })
		assert.Zero(t, a.Idle(t.Context()))
		assert.Len(t, store.has(), 1)
		assert.Equal(t, []string{"r-1.json", "r-1.transcript.json", "r-3.json", "r-3.transcript.json"}, filesIn(t, dir))
		b, err := a.Attachment("c-1", "r-3", "transcript")
		require.NoError(t, err)
		assert.Equal(t, "{}", string(b))
		require.NoError(t, a.Detach("c-1", "r-3", "transcript"))
		_, err = a.Attachment("c-1", "r-3", "transcript")
		assert.ErrorIs(t, err, ErrNotFound)
		a.Close()
	})
}

func TestRecordingsAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := New(Config{Dir: dir, Retention: 24 * time.Hour})
		require.NoError(t, a.Open())
		defer a.Close()
		recorded(t, a, "r-1")
		begun(t, a, "r-2") // goes on, however long
		time.Sleep(23 * time.Hour)
		recorded(t, a, "r-3")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		var ids []string
		for _, r := range a.List(Query{}) {
			ids = append(ids, r.ID)
		}
		assert.Equal(t, []string{"r-2", "r-3"}, ids)
	})
}

func TestWhatACrashLeavesInTheFolder(t *testing.T) {
	dir := t.TempDir()
	day := filepath.Join(dir, "20260302")
	require.NoError(t, os.Mkdir(day, 0o700))
	for name, content := range map[string]string{
		"r-1.json.tmp": `{"half`, "r-2.json": `{"half`, "r-3.wav": "without a description", "notes.json": `{}`,
		"r-4.json": `{"recordingId":"r-9","callId":"c-1","startTime":"2026-03-02T00:00:00Z","status":"complete"}`, // of another
	} {
		require.NoError(t, os.WriteFile(filepath.Join(day, name), []byte(content), 0o600))
	}
	core, logs := observer.New(zap.ErrorLevel)
	a := New(Config{Dir: dir, Retention: 1 << 62}, WithLogger(zap.New(core)))
	require.NoError(t, a.Open())
	defer a.Close()
	assert.Empty(t, a.List(Query{}))
	assert.Equal(t, 2, logs.Len())
	assert.NotContains(t, filesIn(t, dir), "r-1.json.tmp")
}

func TestNoFolderIsMadeBeforeThereIsSomethingToKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	a := opened(t, dir)
	a.Close()
	_, err := os.Stat(dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
