package media

import (
	"errors"
	"io"
	"sync"
)

// errAbandoned ends what nobody reads any more.
var errAbandoned = errors.New("nobody reads it any more")

// chunkLen is the number of elements in one piece of a [growing].
const chunkLen = 16 << 10

// growing is content that one goroutine produces while others read it, each from the beginning. Up to `keep` elements it
// stays whole, so that it may be read again later; beyond that it is a window: what all have read is let go of, and the
// producer waits for the foremost reader.
type growing[T byte | int16] struct {
	keep   int // elements that are held at most as a whole
	window int // elements that the producer may be ahead, beyond keep

	mu      sync.Mutex
	moved   sync.Cond // something below has changed
	chunks  [][]T     // of chunkLen elements each but the last; nil where let go of
	freed   int       // leading chunks that are let go of
	size    int       // elements produced
	total   int       // of all that there will be; 0: nobody knows
	err     error     // how it ended: io.EOF when it is complete; nil: it goes on
	readers map[*growingReader[T]]struct{}
}

func newGrowing[T byte | int16](keep, window int) *growing[T] {
	g := &growing[T]{keep: keep, window: window, readers: map[*growingReader[T]]struct{}{}}
	g.moved.L = &g.mu
	return g
}

// write appends p. It may wait, and returns the error that something else has ended the content with.
func (g *growing[T]) write(p []T) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(p) > 0 {
		for g.err == nil && g.size >= g.keep && g.size-g.foremost() >= g.window {
			g.moved.Wait()
		}
		if g.err != nil {
			return g.err
		}
		if g.size%chunkLen == 0 {
			g.chunks = append(g.chunks, make([]T, 0, chunkLen))
		}
		last := &g.chunks[len(g.chunks)-1]
		n := min(len(p), chunkLen-len(*last))
		*last = append(*last, p[:n]...)
		p = p[n:]
		g.size += n
		if g.size == g.total {
			g.err = io.EOF // before a reader has the last, and is closed
		}
		g.moved.Broadcast()
	}
	return nil
}

// expect says how many elements there will be in all. Nothing is written yet.
func (g *growing[T]) expect(total int) { g.total = total }

// foremost returns how far the first of the readers is; g.mu is held.
func (g *growing[T]) foremost() int {
	at := 0
	for r := range g.readers {
		at = max(at, r.at)
	}
	return at
}

// finish ends the content; the first end counts.
func (g *growing[T]) finish(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.moved.Broadcast()
}

// complete reports whether all of the content has come.
func (g *growing[T]) complete() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err == io.EOF
}

// whole reports whether the content is complete and all there.
func (g *growing[T]) whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err == io.EOF && g.freed == 0
}

// length returns the number of elements produced so far.
func (g *growing[T]) length() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// reader returns a reader that begins at the beginning; false: the beginning is not there any more.
func (g *growing[T]) reader() (*growingReader[T], bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.freed > 0 {
		return nil, false
	}
	r := &growingReader[T]{g: g}
	g.readers[r] = struct{}{}
	return r, true
}

// growingReader reads a growing content. One goroutine reads; any may close.
type growingReader[T byte | int16] struct {
	g      *growing[T]
	at     int
	closed bool // g.mu guards both
}

func (r *growingReader[T]) Read(dst []T) (int, error) {
	g := r.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for !r.closed && r.at == g.size && g.err == nil {
		g.moved.Wait()
	}
	switch {
	case r.closed:
		return 0, errAbandoned
	case r.at == g.size:
		return 0, g.err
	}
	chunk := g.chunks[r.at/chunkLen]
	n := copy(dst, chunk[r.at%chunkLen:])
	r.at += n
	if g.size >= g.keep {
		g.release()
		g.moved.Broadcast() // the producer may be waiting for this reader
	}
	return n, nil
}

// waiting returns how many elements are there that were not read yet.
func (r *growingReader[T]) waiting() int {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.size - r.at
}

// await waits until there is something to read. It returns the error of a content that has nothing, unless it is
// complete and empty.
func (r *growingReader[T]) await() error {
	g := r.g
	g.mu.Lock()
	defer g.mu.Unlock()
	for !r.closed && g.size == 0 && g.err == nil {
		g.moved.Wait()
	}
	switch {
	case r.closed:
		return errAbandoned
	case g.size == 0 && g.err != io.EOF:
		return g.err
	}
	return nil
}

// release lets go of what every reader has behind it, once the content is too great to be kept; g.mu is held.
func (g *growing[T]) release() {
	if g.size <= g.keep {
		return
	}
	hindmost := g.size
	for r := range g.readers {
		hindmost = min(hindmost, r.at)
	}
	for ; g.freed < hindmost/chunkLen; g.freed++ {
		g.chunks[g.freed] = nil
	}
}

// close ends the reading. It reports whether this was the first time.
func (r *growingReader[T]) close() bool {
	g := r.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.closed {
		return false
	}
	r.closed = true
	delete(g.readers, r)
	g.moved.Broadcast()
	return true
}
