package sipstack

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// burst has so many tasks run at the same time, and returns when all have ended and those that ran them are idle or gone.
func burst(w *workers, count int) {
	var begun sync.WaitGroup
	begun.Add(count)
	for range count {
		w.do(func() {
			begun.Done()
			begun.Wait()
		})
	}
	begun.Wait()
	synctest.Wait()
}

// waiting counts those that are idle.
func (w *workers) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.idle
}

func TestIdleWorkers(t *testing.T) {
	for name, tc := range map[string]struct {
		act  func(w *workers)
		idle int
	}{
		"none before the first task":  {func(*workers) {}, 0},
		"as many as there were tasks": {func(w *workers) { burst(w, 5) }, 5},
		"no more than may wait":       {func(w *workers) { burst(w, 2*maxIdle) }, maxIdle},
		"are used again": {func(w *workers) {
			burst(w, 5)
			burst(w, 5)
		}, 5},
		"end when nothing is to be done": {func(w *workers) {
			burst(w, 5)
			time.Sleep(2*idleTime + idleTime/2)
			synctest.Wait()
		}, 0},
		"stay for a while": {func(w *workers) {
			burst(w, 5)
			time.Sleep(idleTime / 2)
		}, 5},
		"come again after all have ended": {func(w *workers) {
			burst(w, 5)
			time.Sleep(2*idleTime + idleTime/2)
			burst(w, 3)
		}, 3},
		"end again after all have ended": {func(w *workers) {
			for range 2 {
				burst(w, 5)
				time.Sleep(2*idleTime + idleTime/2)
			}
			synctest.Wait()
		}, 0},
		"end but for those that are needed": {func(w *workers) {
			burst(w, 5)
			for range 10 {
				time.Sleep(idleTime * 2 / 3)
				burst(w, 1)
			}
		}, 1},
		"are not ended in the middle of a task": {func(w *workers) {
			burst(w, 1)
			w.do(func() { time.Sleep(2 * idleTime) })
			time.Sleep(2*idleTime + idleTime/2)
			synctest.Wait()
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorkers()
				tc.act(w)
				assert.EqualValues(t, tc.idle, w.waiting())

				began := time.Now()
				w.close()

				assert.Zero(t, w.waiting())
				assert.Zero(t, time.Since(began), "those that are idle end at once")
			})
		})
	}
}

func TestWorkersCloseWaitsForTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkers()
		ended := false
		w.do(func() {
			time.Sleep(time.Minute)
			ended = true
		})
		w.close()
		assert.True(t, ended)
	})
}
