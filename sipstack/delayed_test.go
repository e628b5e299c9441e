package sipstack

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsDelayedIsDoneInOrderAndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type moment struct {
			what int
			at   time.Duration
		}
		var done []moment
		start := time.Now()
		d := newDelayed(10*time.Second, func(n int) { done = append(done, moment{n, time.Since(start)}) })
		d.put(1)
		time.Sleep(time.Second)
		d.put(2)
		d.put(3)
		time.Sleep(10 * time.Millisecond)
		d.put(4)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		assert.Equal(t, []moment{
			{1, 10 * time.Second}, {2, 11 * time.Second}, {3, 11 * time.Second}, {4, 11*time.Second + delayedStep},
		}, done)
		d.put(5) // it starts again
		time.Sleep(11 * time.Second)
		synctest.Wait()
		assert.Len(t, done, 5)
		d.put(6)
		d.close()
		d.put(7)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, done, 5, "after the end nothing is done")
	})
}

func TestManyDelayedThingsFromManySides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		d := newDelayed(time.Second, func(int) { done.Add(1) })
		for range 50 {
			go func() {
				for n := range 100 {
					d.put(n)
					time.Sleep(7 * time.Millisecond)
				}
			}()
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 5000, done.Load())
		d.mu.Lock()
		defer d.mu.Unlock()
		assert.False(t, d.armed)
		assert.Nil(t, d.queue)
	})
}
