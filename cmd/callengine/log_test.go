package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
)

func TestLinesAreWrittenSoonAndWarningsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out console
		log, end := newLogger(node.LogConfig{Level: "info", Format: "console"}, &out)
		lines := func() (messages []string) {
			for line := range strings.Lines(out.String()) {
				messages = append(messages, strings.Fields(line)[2])
			}
			return messages
		}
		log.Debug("zero")
		log.With(zap.String("call_id", "c-1")).Info("one")
		assert.Empty(t, lines())
		time.Sleep(logEvery + time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []string{"one"}, lines())
		log.Info("two")
		log.With(zap.String("call_id", "c-1")).Warn("three")
		assert.Equal(t, []string{"one", "two", "three"}, lines(), "in order")
		log.Error("four")
		assert.Len(t, lines(), 4)
		log.Info("five")
		end()
		assert.Equal(t, []string{"one", "two", "three", "four", "five"}, lines(), "nothing is lost at the end")
	})
}
