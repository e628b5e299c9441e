package transcribe

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rest reads a sound to its end.
func rest(t *testing.T, s Sound) (all []int16) {
	t.Helper()
	buf := make([]int16, 33)
	for {
		n, err := s.ReadFrame(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return all
		}
	}
}

func TestWhatIsPutIntoALiveSoundIsRead(t *testing.T) {
	l := NewLive(1000)
	l.Put([]int16{1, 2})
	l.Put([]int16{3})
	l.End()
	l.Put([]int16{4})
	assert.Equal(t, []int16{1, 2, 3}, rest(t, l))
	assert.Zero(t, l.Lost())
}

func TestAReaderOfALiveSoundWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLive(1000)
		var got []int16
		done := make(chan struct{})
		go func() { defer close(done); got = rest(t, l) }()
		synctest.Wait()
		l.Put([]int16{1, 2, 3})
		synctest.Wait()
		l.End()
		<-done
		assert.Equal(t, []int16{1, 2, 3}, got)
	})
}

func TestALiveSoundThatNobodyReadsDoesNotGrow(t *testing.T) {
	l := NewLive(100)
	frame := make([]int16, 40)
	for i := range frame {
		frame[i] = 7
	}
	for range 5 {
		l.Put(frame)
	}
	assert.Equal(t, 120, l.Lost())
	l.End()
	got := rest(t, l)
	require.Len(t, got, 200, "the times of what follows stay those of the call")
	for i, s := range got {
		assert.Equal(t, i < 80, s == 7)
	}
}

func TestALiveSoundGoesOnAfterAGap(t *testing.T) {
	l := NewLive(100)
	l.Put(make([]int16, 90))
	l.Put(make([]int16, 90))
	buf := make([]int16, 200)
	for read := 0; read < 180; {
		n, err := l.ReadFrame(buf)
		require.NoError(t, err)
		read += n
	}
	l.Put([]int16{5})
	l.End()
	assert.Equal(t, []int16{5}, rest(t, l))
}
