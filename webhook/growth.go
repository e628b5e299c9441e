package webhook

// grow gives its goroutine room on the stack at once, while there is hardly anything on it. Left alone the stack doubles
// several times on the way down, and each time all of it is copied: of what a goroutine costs that delivers an event and ends,
// that is a tenth. A function's frame has room for all that the function may need: here it never does.
//
//go:noinline
func grow(used bool) {
	if used {
		var room [8 << 10]byte
		fill(&room)
	}
}

//go:noinline
func fill(room *[8 << 10]byte) { clear(room[:]) }
