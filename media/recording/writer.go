package recording

// encoder turns sound into a file's bytes.
type encoder interface {
	// encode takes samples of all channels.
	encode(samples []int16) error
	// flush makes the file playable as far as it is written.
	flush() error
	// close writes what is left; it does not close the file.
	close() error
	size() int64
	// samples is how many of each channel are in the file.
	samples() int
}

func newEncoder(spec Spec, file File) (encoder, error) {
	if spec.Format == MP3 {
		return newMP3(spec.channels(), file)
	}
	return newWAV(spec.channels(), file)
}

// flushEvery is how much sound a crash may cost the length in a file's header.
const flushEvery = 4 // pieces: 1 s

// write is the goroutine that owns the file.
func (r *Recording) write(file File, done func(Result)) {
	enc, err := newEncoder(r.spec, file)
	written := 0 // samples of each channel
	for n := 0; err == nil; n++ {
		p, more := r.next()
		if !more {
			err = enc.close()
			break
		}
		if err = r.encode(enc, p); err == nil {
			written += p.silence + p.n/r.spec.channels()
			if n%flushEvery == 0 {
				err = enc.flush()
			}
		}
		buffers.Put(p.buffer)
	}
	if err != nil {
		r.giveUp()
		written = 0
		if enc != nil {
			written = enc.samples()
			_ = enc.flush() // what is there may be heard; that something failed is known
		}
	}
	if e := file.Close(); err == nil {
		err = e
	}
	result := Result{Duration: durationOf(written), Err: err}
	if enc != nil {
		result.Bytes = enc.size()
	}
	r.mu.Lock()
	result.Lost = durationOf(r.lost)
	r.result = result
	r.mu.Unlock()
	done(result)
	close(r.done)
}

// silence is written where sound was lost.
var silence [SampleRate]int16

func (r *Recording) encode(enc encoder, p piece) error {
	for left := p.silence * r.spec.channels(); left > 0; {
		n := min(left, len(silence))
		if err := enc.encode(silence[:n]); err != nil {
			return err
		}
		left -= n
	}
	return enc.encode(p.sound())
}

// next waits for the next piece; false: there is no more.
func (r *Recording) next() (piece, bool) {
	for {
		r.mu.Lock()
		if len(r.full) > 0 {
			p := r.full[0]
			r.full = r.full[1:]
			r.mu.Unlock()
			return p, true
		}
		over := r.over
		r.mu.Unlock()
		if over {
			return piece{}, false
		}
		<-r.wake
	}
}

// giveUp ends a recording that cannot be written.
func (r *Recording) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed, r.full = true, nil
	if !r.over {
		r.end(0)
	}
}
