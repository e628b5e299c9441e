package node

import (
	"sync"
	"time"

	"github.com/callengine/callengine/sipstack"
	"go.uber.org/zap"
)

// door is what the SIP stack asks and tells of those who want to come in.
type door struct {
	*gate
	metrics *metrics
	log     *zap.Logger

	mu     sync.Mutex
	second int64 // of the newest line
	lines  int   // in it
}

var _ sipstack.Door = (*door)(nil)

// turnedAway is the line that intrusion prevention reads: docs/operating.md has an expression for it, which a test holds.
const turnedAway = "SIP source turned away"

// maxTurnedAway bounds these lines per second: whoever forges addresses over UDP must not fill the disk.
const maxTurnedAway = 20

// TurnedAway implements [sipstack.Door].
func (d *door) TurnedAway(r sipstack.Refusal) {
	d.metrics.turnedAway(r)
	if !r.First || !d.mayLog(time.Now()) {
		return
	}
	fields := []zap.Field{zap.Stringer("source", r.Source), zap.String("reason", r.Reason)}
	if r.For > 0 {
		fields = append(fields, zap.Duration("for", r.For))
	}
	d.log.Warn(turnedAway, fields...)
}

func (d *door) mayLog(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := now.Unix(); s != d.second {
		d.second, d.lines = s, 0
	}
	d.lines++
	return d.lines <= maxTurnedAway
}
