package media

import "context"

// Source is something to be heard: 16-bit samples, mono, 8000 a second.
type Source interface {
	// ReadFrame reads up to len(dst) samples, by the rules of [io.Reader]: it may return fewer, samples and an error
	// together, and io.EOF after the last. It may wait for samples. One goroutine reads at a time.
	ReadFrame(dst []int16) (n int, err error)

	// Close releases what the source holds. It may be called by any goroutine, at any time and more than once, and a
	// ReadFrame that waits then returns with an error.
	Close() error
}

// whenDone calls f once as soon as ctx is done, so that what waits for something else need not wait for that, too. The caller must call
// the function returned, which returns when f will not be called from here any more.
func whenDone(ctx context.Context, f func()) (release func()) {
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(called)
		f()
	})
	return func() {
		if !stop() {
			<-called
		}
	}
}
