package media

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readGrowing(t *testing.T, r *growingReader[byte]) []byte {
	t.Helper()
	all, err := io.ReadAll(r)
	require.NoError(t, err)
	return all
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

func TestGrowingIsReadWhileItGrowsAndAfterwards(t *testing.T) {
	t.Parallel()
	content := pattern(5*chunkLen + 77)
	g := newGrowing[byte](len(content), 0)
	first, ok := g.reader()
	require.True(t, ok)
	go func() {
		for rest := content; len(rest) > 0; rest = rest[min(len(rest), 1000):] {
			_ = g.write(rest[:min(len(rest), 1000)]) // it has no errors before its end
		}
		g.finish(io.EOF)
	}()
	assert.Equal(t, content, readGrowing(t, first))
	assert.True(t, g.whole())
	second, ok := g.reader()
	require.True(t, ok)
	assert.Equal(t, content, readGrowing(t, second))
}

func TestGrowingBeyondItsLimitIsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := pattern(20 * chunkLen)
		g := newGrowing[byte](4*chunkLen, 2*chunkLen)
		slow, _ := g.reader()
		fast, _ := g.reader()
		go func() {
			_ = g.write(content) // it has no errors before its end
			g.finish(io.EOF)
		}()
		synctest.Wait()
		assert.Equal(t, 4*chunkLen, g.length(), "it waits for a reader")
		_, err := io.ReadFull(fast, make([]byte, 3*chunkLen))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 5*chunkLen, g.length())
		assert.Zero(t, g.freed, "the slow one still needs the beginning")
		assert.Equal(t, content[:9*chunkLen], readAtLeast(t, fast, slow, 9*chunkLen))
		assert.Positive(t, g.freed, "what both have read is let go of")
		_, ok := g.reader()
		assert.False(t, ok, "the beginning is gone")
		slow.close()
		assert.Equal(t, content[9*chunkLen:], readGrowing(t, fast))
		assert.False(t, g.whole())
	})
}

// readAtLeast reads n bytes in all with the slow reader, and as many with the fast one before it.
func readAtLeast(t *testing.T, fast, slow *growingReader[byte], n int) []byte {
	t.Helper()
	_, err := io.ReadFull(fast, make([]byte, n-fast.at))
	require.NoError(t, err)
	b := make([]byte, n)
	_, err = io.ReadFull(slow, b)
	require.NoError(t, err)
	return b
}

func TestGrowingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrowing[byte](10, 5)
		r, _ := g.reader()
		require.NoError(t, g.write(pattern(10)))
		written, read := make(chan error, 1), make(chan error, 1)
		go func() { written <- g.write(pattern(10)) }()
		synctest.Wait()
		require.Empty(t, written)
		g.finish(io.ErrUnexpectedEOF)
		g.finish(io.EOF)
		assert.ErrorIs(t, <-written, io.ErrUnexpectedEOF, "the first end counts")
		_, err := io.ReadAll(r)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "after what was there")

		waiting := newGrowing[byte](10, 5)
		w, _ := waiting.reader()
		go func() {
			_, err := w.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		assert.True(t, w.close())
		assert.False(t, w.close())
		assert.ErrorIs(t, <-read, errAbandoned)
	})
}

func TestLRUKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	l := newLRU[string, int](10)
	l.put("a", 1, 4)
	l.put("b", 2, 4)
	_, ok := l.get("a")
	assert.True(t, ok)
	l.put("c", 3, 4)
	_, ok = l.get("b")
	assert.False(t, ok, "the one not used for the longest goes")
	v, _ := l.get("a")
	assert.Equal(t, 1, v)
	l.put("a", 5, 6)
	v, _ = l.get("a")
	assert.Equal(t, 5, v)
	assert.Equal(t, 10, l.total)
	l.put("huge", 9, 11)
	_, ok = l.get("huge")
	assert.False(t, ok)
	_, ok = l.get("c")
	assert.True(t, ok, "what is too big does not drive others out")
}

// TestWhatIsAllThereIsWholeThoughItsReaderIsClosed: a WAV file tells where its sound ends, so that nobody reads on to the end
// of the body.
func TestWhatIsAllThereIsWholeThoughItsReaderIsClosed(t *testing.T) {
	g := newGrowing[byte](audioKeep, audioAhead)
	g.expect(5)
	require.NoError(t, g.write([]byte("sou")))
	assert.False(t, g.complete())
	require.NoError(t, g.write([]byte("nd")))
	g.finish(errStopped)
	assert.True(t, g.complete())
	assert.True(t, g.whole())
}
