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

func TestARestoredDialogTakesWhatWasOvertakenWhileNobodyWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{last: 1}
		ok := answer{"BYE", 200, "OK"}
		b.restored(map[uint32]answer{5: ok})
		assert.Equal(t, repeated, b.enter(5))
		assert.Equal(t, ok, b.previous(5))

		assert.Equal(t, admitted, b.enter(3), "it has never been seen")
		b.leave(answer{"NOTIFY", 200, "OK"})
		assert.Equal(t, repeated, b.enter(3))
		assert.Equal(t, answer{"NOTIFY", 200, "OK"}, b.previous(3))
		assert.Equal(t, ok, b.previous(5))

		assert.Equal(t, admitted, b.enter(6))
		b.leave(answer{"INFO", 200, "OK"})
		assert.Equal(t, repeated, b.enter(6))
		time.Sleep(linger() + time.Second)
		assert.Equal(t, outdated, b.enter(4), "nobody repeats it any more")
		assert.Equal(t, answer{"INFO", 200, "OK"}, b.previous(6))
	})
}

func TestWhatIsBeingHandledIsNotAnswered(t *testing.T) {
	b := &inbox{last: 1}
	assert.Equal(t, uint32(1), b.settled())
	assert.Equal(t, admitted, b.enter(2))
	assert.Equal(t, uint32(1), b.settled())
	b.leave(answer{"INFO", 200, "OK"})
	assert.Equal(t, uint32(2), b.settled())
}
