package media

import "time"

// maxBurst is how many packets go out at once after the sender was late. More would overflow small jitter buffers, and
// fewer would make the stream fall behind with every hiccup of the scheduler.
const maxBurst = 3

// pacer says when frames are due. Deadlines are counted from the start, so errors do not add up.
type pacer struct {
	period time.Duration
	next   time.Time // when the next frame is due
}

// due returns how many frames are to be sent at now, and how many more have passed unsent: time that is lost because the
// process stood still. The frames sent are those after the lost time.
func (p *pacer) due(now time.Time) (frames, lost int) {
	if now.Before(p.next) {
		return 0, 0
	}
	frames = int(now.Sub(p.next)/p.period) + 1
	p.next = p.next.Add(time.Duration(frames) * p.period)
	if frames > maxBurst {
		return maxBurst, frames - maxBurst
	}
	return frames, 0
}
