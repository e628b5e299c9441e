package recording

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/callengine/callengine/media/mp3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const packet = SampleRate / 50

// level is a packet of one value.
func level(v int16) (p []int16) {
	for range packet {
		p = append(p, v)
	}
	return p
}

// hear lets a recording hear so much of two levels.
func hear(r *Recording, d time.Duration, in, out int16) {
	for range d / (20 * time.Millisecond) {
		r.Hear(level(in), level(out))
	}
}

// onDisk begins a recording to a file.
func onDisk(t *testing.T, spec Spec) (r *Recording, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "r-1."+string(spec.Format))
	file, err := os.Create(path)
	require.NoError(t, err)
	return Start(spec, file, func(Result) {}), path
}

// result waits for the file.
func result(r *Recording) Result {
	<-r.Done()
	return r.Result()
}

// wavSamples reads a file as its header says.
func wavSamples(t *testing.T, path string, channels int) (samples []int16) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(b), wavHead)
	assert.Equal(t, "RIFF", string(b[:4]))
	assert.Equal(t, "WAVEfmt ", string(b[8:16]))
	assert.EqualValues(t, channels, binary.LittleEndian.Uint16(b[22:]))
	assert.EqualValues(t, SampleRate, binary.LittleEndian.Uint32(b[24:]))
	size := binary.LittleEndian.Uint32(b[40:])
	assert.Equal(t, size+36, binary.LittleEndian.Uint32(b[4:]))
	require.LessOrEqual(t, int(size), len(b)-wavHead)
	for i := wavHead; i < wavHead+int(size); i += 2 {
		samples = append(samples, int16(binary.LittleEndian.Uint16(b[i:])))
	}
	return samples
}

func TestWhichSideIsOnWhichChannel(t *testing.T) {
	for name, tc := range map[string]struct {
		spec     Spec
		channels int
		want     []int16 // of the first samples
	}{
		"both sides mixed":    {Spec{Channels: 1}, 1, []int16{1250, 1250}},
		"one for each":        {Spec{Channels: 2}, 2, []int16{1000, 250}},
		"only the other side": {Spec{InOnly: true}, 1, []int16{1000, 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.spec.Format = WAV
			r, path := onDisk(t, tc.spec)
			hear(r, time.Second, 1000, 250)
			r.Stop()
			got := result(r)
			assert.NoError(t, got.Err)
			assert.Equal(t, time.Second, got.Duration)
			samples := wavSamples(t, path, tc.channels)
			assert.Len(t, samples, SampleRate*tc.channels)
			assert.Equal(t, tc.want, samples[:2])
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, info.Size(), got.Bytes)
		})
	}
}

func TestLoudSidesTogetherAreNotMoreThanASampleHolds(t *testing.T) {
	assert.EqualValues(t, 32767, mixed(20000, 20000))
	assert.EqualValues(t, -32768, mixed(-20000, -20000))
}

func TestARecordingEndsAfterItsLongestDurationToTheSample(t *testing.T) {
	r, path := onDisk(t, Spec{Format: WAV, Longest: 1500*time.Millisecond + 125*time.Microsecond})
	hear(r, 1480*time.Millisecond, 1, 0)
	select {
	case <-r.Ended():
		t.Fatal("too early")
	default:
	}
	hear(r, time.Minute, 1, 0)
	<-r.Ended()
	assert.Equal(t, 1500*time.Millisecond+125*time.Microsecond, r.Duration())
	assert.Equal(t, r.Duration(), result(r).Duration)
	assert.Len(t, wavSamples(t, path, 1), 12001)
}

func TestSilenceEndsARecording(t *testing.T) {
	type stretch struct {
		d time.Duration
		v int16
	}
	for name, tc := range map[string]struct {
		heard []stretch
		want  time.Duration // 0: it goes on
	}{
		"from the beginning":          {[]stretch{{3 * time.Second, 0}}, 2 * time.Second},
		"after a word":                {[]stretch{{500 * time.Millisecond, 1000}, {3 * time.Second, 0}}, 2500 * time.Millisecond},
		"with the noise of a line":    {[]stretch{{3 * time.Second, 100}}, 2 * time.Second},
		"with a click in it":          {[]stretch{{time.Second, 0}, {20 * time.Millisecond, 8000}, {3 * time.Second, 0}}, 2 * time.Second},
		"not while somebody speaks":   {[]stretch{{5 * time.Second, 1000}}, 0},
		"not before it is long":       {[]stretch{{1980 * time.Millisecond, 0}, {time.Second, 1000}, {1980 * time.Millisecond, 0}}, 0},
		"counted from the last word":  {[]stretch{{1980 * time.Millisecond, 0}, {100 * time.Millisecond, 1000}, {3 * time.Second, 0}}, 4080 * time.Millisecond},
		"softly spoken is no silence": {[]stretch{{5 * time.Second, 300}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := onDisk(t, Spec{Format: WAV, InOnly: true, Silence: 2 * time.Second})
			total := time.Duration(0)
			for _, s := range tc.heard {
				hear(r, s.d, s.v, 5000) // what the other side hears does not matter
				total += s.d
			}
			if tc.want == 0 {
				assert.Equal(t, total, r.Duration())
				r.Stop()
			}
			<-r.Ended()
			if tc.want != 0 {
				assert.Equal(t, tc.want, r.Duration())
			}
			<-r.Done()
		})
	}
}

func TestWhatIsSaidInAPauseIsNotThere(t *testing.T) {
	r, path := onDisk(t, Spec{Format: WAV})
	hear(r, time.Second, 1, 0)
	r.Pause()
	r.Pause()
	hear(r, time.Second, 2, 0)
	r.Resume()
	hear(r, time.Second, 3, 0)
	r.Pause()
	r.Stop()
	hear(r, time.Second, 4, 0)
	assert.Equal(t, 2*time.Second, result(r).Duration)
	samples := wavSamples(t, path, 1)
	assert.Len(t, samples, 2*SampleRate)
	assert.NotContains(t, samples, int16(2))
	assert.NotContains(t, samples, int16(4))
}

func TestTheLastTenthOfASecondCanBeCutOff(t *testing.T) {
	for _, d := range []time.Duration{0, 60 * time.Millisecond, 240 * time.Millisecond, 260 * time.Millisecond, 340 * time.Millisecond, 360 * time.Millisecond, 5 * time.Second} {
		r, path := onDisk(t, Spec{Format: WAV, Channels: 2})
		hear(r, d, 1, 1)
		r.Cut(100 * time.Millisecond)
		r.Cut(100 * time.Millisecond)
		want := max(0, d-100*time.Millisecond)
		assert.Equal(t, want, r.Duration(), d)
		assert.Equal(t, want, result(r).Duration, d)
		assert.Len(t, wavSamples(t, path, 2), 2*samplesIn(want), d)
	}
}

// faulty is a file with a fault.
type faulty struct {
	*os.File
	room    int           // bytes until the disk is full
	blocked chan struct{} // not nil: writing waits until it is closed
}

var errFull = errors.New("no space left on device")

func (f *faulty) Write(b []byte) (int, error) {
	if f.blocked != nil {
		<-f.blocked
	}
	if f.room < len(b) {
		n, _ := f.File.Write(b[:f.room])
		f.room = 0
		return n, errFull
	}
	f.room -= len(b)
	return f.File.Write(b)
}

func TestAFullDiskEndsTheRecording(t *testing.T) {
	for _, format := range []Format{WAV, MP3} {
		t.Run(string(format), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r-1."+string(format))
			file, err := os.Create(path)
			require.NoError(t, err)
			told := make(chan Result, 1)
			r := Start(Spec{Format: format}, &faulty{File: file, room: 10000}, func(res Result) { told <- res })
			for ended := false; !ended; {
				hear(r, 100*time.Millisecond, 1000, 0)
				select {
				case <-r.Ended():
					ended = true
				case <-time.After(time.Millisecond):
				}
			}
			got := <-told
			assert.ErrorIs(t, got.Err, errFull)
			hear(r, time.Second, 1000, 0) // the sound goes on, and nobody minds
			r.Stop()
			assert.Equal(t, got, result(r))
			assert.Positive(t, got.Duration)
			d, err := Repair(path, format, 1)
			require.NoError(t, err, "what is there can be played")
			assert.Equal(t, d, got.Duration)
		})
	}
}

func TestADiskThatIsFullFromTheBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r-1.wav")
	file, err := os.Create(path)
	require.NoError(t, err)
	r := Start(Spec{Format: WAV}, &faulty{File: file}, func(Result) {})
	<-r.Ended()
	got := result(r)
	assert.ErrorIs(t, got.Err, errFull)
	assert.Zero(t, got.Duration)
	_, err = Repair(path, WAV, 1)
	assert.ErrorContains(t, err, "holds no sound")
}

func TestASlowDiskCostsSoundAndNoTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r-1.wav")
	file, err := os.Create(path)
	require.NoError(t, err)
	f := &faulty{File: file, room: 1 << 30, blocked: make(chan struct{})}
	r := Start(Spec{Format: WAV, Channels: 2}, f, func(Result) {})
	hear(r, time.Minute, 1000, 0) // it would hang here
	close(f.blocked)
	time.Sleep(100 * time.Millisecond)
	hear(r, time.Second, 2000, 0)
	r.Stop()
	got := result(r)
	require.NoError(t, got.Err)
	assert.Equal(t, 61*time.Second, got.Duration, "silence stands where sound was lost")
	assert.InDelta(t, 50, got.Lost.Seconds(), 2)
	assert.Len(t, wavSamples(t, path, 2), 2*61*SampleRate)
}

func TestAFileCanBePlayedAtAnyMoment(t *testing.T) {
	r, path := onDisk(t, Spec{Format: WAV})
	hear(r, 8*time.Second, 1, 0)
	require.Eventually(t, func() bool { // as a crash would leave it
		info, err := os.Stat(path)
		return err == nil && info.Size() > wavHead+2*7*SampleRate && len(wavSamples(t, path, 1)) > 6*SampleRate
	}, 10*time.Second, time.Millisecond)
	cut := filepath.Join(t.TempDir(), "cut.wav")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b = b[:wavHead+2*50001+1]
	require.NoError(t, os.WriteFile(cut, b, 0o600))
	d, err := Repair(cut, WAV, 1)
	require.NoError(t, err)
	assert.Equal(t, durationOf(50001), d)
	assert.Len(t, wavSamples(t, cut, 1), 50001)
	r.Stop()
	<-r.Done()
}

func TestHearingAllocatesNothing(t *testing.T) {
	r, _ := onDisk(t, Spec{Format: WAV, Channels: 2, Silence: time.Hour})
	in, out := level(1000), level(2000)
	hear(r, 20*time.Second, 1, 1)
	time.Sleep(100 * time.Millisecond)
	assert.LessOrEqual(t, testing.AllocsPerRun(200, func() {
		r.Hear(in, out)
		time.Sleep(100 * time.Microsecond)
	}), 0.5, "but for a buffer now and then")
	r.Stop()
	<-r.Done()
}

func TestAnMP3FileHoldsWhatWasHeard(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		r, path := onDisk(t, Spec{Format: MP3, Channels: channels})
		for at := range 150 {
			in := level(0)
			for i := range in {
				in[i] = int16(8000 * math.Sin(2*math.Pi*700*float64(at*packet+i)/SampleRate))
			}
			r.Hear(in, level(0))
		}
		r.Stop()
		got := result(r)
		require.NoError(t, got.Err)
		assert.Equal(t, 3*time.Second, got.Duration)
		file, err := os.Open(path)
		require.NoError(t, err)
		d, err := mp3.NewDecoder(file)
		require.NoError(t, err)
		loud, buf := 0, make([]int16, 576)
		for {
			n, err := d.ReadFrame(buf)
			for _, v := range buf[:n] {
				if v > 1000 || v < -1000 {
					loud++
				}
			}
			if err != nil {
				break
			}
		}
		require.NoError(t, file.Close())
		assert.InDelta(t, 3*SampleRate*0.9, loud, 3*SampleRate*0.1)
		longer, err := Repair(path, MP3, channels)
		require.NoError(t, err)
		assert.InDelta(t, 3.1, longer.Seconds(), 0.12, "with what the filters delay")
	}
}
