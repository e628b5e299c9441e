package sipstack

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRequestWaitsForTheOneReadBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{last: 1}
		b.announce(2) // NOTIFY
		b.announce(3) // BYE
		var order []uint32
		bye := make(chan verdict, 1)
		go func() {
			v := b.enter(3)
			order = append(order, 3)
			b.leave(answer{})
			bye <- v
		}()
		time.Sleep(5 * gapWait) // the goroutine of the NOTIFY gets no processor
		assert.Equal(t, admitted, b.enter(2))
		order = append(order, 2)
		b.leave(answer{})
		assert.Equal(t, admitted, <-bye)
		assert.Equal(t, []uint32{2, 3}, order)
	})
}

func TestRequestDoesNotWaitForEverForOneThatNeverEnters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{last: 1}
		b.announce(2)
		b.announce(3)
		begun := time.Now()
		assert.Equal(t, admitted, b.enter(3))
		b.leave(answer{})
		assert.Equal(t, comingWait, time.Since(begun))
		assert.Equal(t, outdated, b.enter(2))
	})
}

func TestGapThatNobodyAnnouncedCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{last: 1}
		b.announce(7)
		begun := time.Now()
		assert.Equal(t, admitted, b.enter(7))
		assert.Equal(t, gapWait, time.Since(begun))
	})
}
