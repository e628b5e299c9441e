package recording

import (
	"io"
	"sync"
	"time"
)

// SampleRate is the number of samples a second, those that are heard as well as those in the file.
const SampleRate = 8000

// Format is the format of a file.
type Format string

const (
	WAV Format = "wav" // 16-bit PCM
	MP3 Format = "mp3" // MPEG-2.5 layer 3, 32 kbit/s for each channel
)

// Spec says what is recorded, and what ends it.
type Spec struct {
	Format   Format
	Channels int           // 1: both sides mixed; 2: the other side first (left), then ours
	InOnly   bool          // only the other side, on one channel
	Longest  time.Duration // 0: no limit
	Silence  time.Duration // of the other side, after which it ends; 0: never
}

func (s Spec) channels() int {
	if s.Channels == 2 && !s.InOnly {
		return 2
	}
	return 1
}

// File is what a recording is written to. [*os.File] is one.
type File interface {
	io.Writer
	io.WriterAt
	io.Closer
}

// Result is what became of a recording.
type Result struct {
	Duration time.Duration // of the sound in the file
	Bytes    int64         // size of the file
	Lost     time.Duration // of this sound, silence stands in the file: the disk was too slow
	Err      error         // why the file ends before the recording did; nil: it does not
}

const (
	pieceSamples = SampleRate / 4  // samples of each channel in a piece
	maxPieces    = 40              // that wait to be written: 10 s
	heldBack     = SampleRate / 10 // samples that are not given to the writer before more follow: what Cut may take back
)

// Recording is a recording under way. Make one with [Start]; its methods may be called by several goroutines at once, and
// none of them waits for the file.
type Recording struct {
	spec  Spec
	ended chan struct{} // closed with the last sample
	done  chan struct{} // closed with the file
	wake  chan struct{} // holds a token when there is something to write

	mu      sync.Mutex
	over    bool
	paused  bool
	piece   *buffer // that is being filled; nil: there is none
	full    []piece // that wait to be written
	samples int     // of each channel, heard and not lost
	lost    int     // samples of each channel that were lost
	pending int     // of them, not told the writer yet
	left    int     // samples until the longest duration; -1: no limit
	quiet   quiet
	endTime time.Time
	result  Result
	failed  bool // the writer has given up
}

// piece is sound to be written, after so many samples of silence of each channel.
type piece struct {
	silence int
	*buffer
}

// buffer has room for a piece with what is held back and a packet, in both channels.
type buffer struct {
	pcm [2 * (pieceSamples + heldBack + SampleRate/10)]int16
	n   int // of all channels
}

// grow returns room for n samples more.
func (b *buffer) grow(n int) []int16 {
	b.n += n
	return b.pcm[b.n-n : b.n]
}

func (b *buffer) sound() []int16 { return b.pcm[:b.n] }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer(sound []int16) *buffer {
	b := buffers.Get().(*buffer)
	b.n = copy(b.pcm[:], sound)
	return b
}

// Start begins a recording, which goes on until it is stopped, has the longest duration or silence that it may, or
// cannot be written. It closes the file when all is written, and done is called then, from the writer's goroutine.
func Start(spec Spec, file File, done func(Result)) *Recording {
	r := &Recording{
		spec: spec, left: -1, ended: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		quiet: quiet{timeout: samplesIn(spec.Silence)},
	}
	if spec.Longest > 0 {
		r.left = samplesIn(spec.Longest)
	}
	go r.write(file, done)
	return r
}

func samplesIn(d time.Duration) int { return int(d * SampleRate / time.Second) }

func durationOf(samples int) time.Duration { return time.Duration(samples) * time.Second / SampleRate }

// Hear takes the next sound: what the other side says, and what it hears, each the same number of samples. It is called
// by one goroutine at a time and does not block.
func (r *Recording) Hear(in, out []int16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.paused {
		return
	}
	n := len(in)
	if r.left >= 0 {
		n = min(n, r.left)
		r.left -= n
	}
	silent := r.quiet.hear(in[:n])
	r.put(in[:n], out[:n])
	if silent || r.left == 0 {
		r.end(0)
	}
}

// put appends samples to the piece, and hands it to the writer when there is enough. The lock is held.
func (r *Recording) put(in, out []int16) {
	r.samples += len(in)
	channels := r.spec.channels()
	if r.piece == nil {
		r.piece = newBuffer(nil)
	}
	dst, out := r.piece.grow(len(in)*channels), out[:len(in)]
	switch {
	case r.spec.InOnly:
		copy(dst, in)
	case channels == 2:
		for i, v := range in {
			dst[2*i], dst[2*i+1] = v, out[i]
		}
	default:
		for i, v := range in {
			dst[i] = mixed(v, out[i])
		}
	}
	if held := heldBack * channels; r.piece.n >= pieceSamples*channels+held {
		next := newBuffer(r.piece.pcm[r.piece.n-held : r.piece.n])
		r.piece.n -= held
		r.hand()
		r.piece = next
	}
}

// mixed is the sum of two samples, as loud as it may be.
func mixed(a, b int16) int16 { return int16(min(max(int(a)+int(b), -1<<15), 1<<15-1)) }

// hand gives the piece to the writer, unless too many wait: then it counts as lost. The lock is held.
func (r *Recording) hand() {
	b := r.piece
	r.piece = nil
	switch {
	case b == nil:
		return
	case r.failed:
		buffers.Put(b)
		return
	case len(r.full) >= maxPieces && !r.over:
		n := b.n / r.spec.channels()
		r.lost, r.pending = r.lost+n, r.pending+n
		buffers.Put(b)
		return
	}
	r.full = append(r.full, piece{r.pending, b})
	r.pending = 0
	r.signal()
}

func (r *Recording) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // it has a token
	}
}

// Pause leaves out what follows, in the file as in its duration, until Resume.
func (r *Recording) Pause() { r.pause(true) }

// Resume goes on after Pause.
func (r *Recording) Resume() { r.pause(false) }

func (r *Recording) pause(paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = paused
}

// Stop ends the recording. It does not wait for the file.
func (r *Recording) Stop() { r.Cut(0) }

// Cut ends the recording, without its last d, of which there are a tenth of a second at most: where something is heard
// that is not to be in the file, such as the digit that ends it.
func (r *Recording) Cut(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.end(samplesIn(d))
	}
}

// end ends the recording without its last samples. The lock is held.
func (r *Recording) end(cut int) {
	r.over, r.endTime = true, time.Now()
	if channels := r.spec.channels(); r.piece != nil {
		cut = min(cut, heldBack, r.piece.n/channels)
		r.piece.n -= cut * channels
		r.samples -= cut
	}
	r.hand()
	r.signal()
	close(r.ended)
}

// Ended is closed when the recording is over, by itself or not. The file may not be ready yet.
func (r *Recording) Ended() <-chan struct{} { return r.ended }

// Done is closed when the file is closed.
func (r *Recording) Done() <-chan struct{} { return r.done }

// Duration is how long the sound is until now.
func (r *Recording) Duration() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return durationOf(r.samples)
}

// EndTime is when it ended; zero: it goes on.
func (r *Recording) EndTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endTime
}

// Result is what became of it, once Done is closed.
func (r *Recording) Result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}
