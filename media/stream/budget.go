package stream

import (
	"context"
	"time"
)

// What reading the other side's messages may cost: each its length and perMessage, so much a second, and a reserve for
// those who send a text's whole speech at once. Who sends more is read more slowly.
const (
	perMessage   = 1 << 10
	perSecond    = 1 << 20
	mostInStore  = 8 << 20
	bytesPerNano = perSecond / float64(time.Second)
)

// budget is what may be read. The zero value is full.
type budget struct {
	spent float64 // of the reserve, at the moment of at
	at    time.Time
}

// spend waits until a message of a length may be looked at, or returns the cause of ctx.
func (b *budget) spend(ctx context.Context, length int) error {
	now := time.Now()
	b.spent = max(0, b.spent-float64(now.Sub(b.at))*bytesPerNano) + float64(length+perMessage)
	b.at = now
	over := b.spent - mostInStore
	if over <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(over / bytesPerNano))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
