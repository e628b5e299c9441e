package main

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// filled is a disk that is full for its first writes.
type filled struct {
	console
	writes int
}

func (f *filled) Write(p []byte) (int, error) {
	if f.writes--; f.writes >= 0 {
		return 0, syscall.ENOSPC
	}
	return f.console.Write(p)
}

func TestADiskThatWasFullCostsNoLaterLine(t *testing.T) {
	out := &filled{writes: 1}
	log, end := newLogger(node.LogConfig{Level: "info", Format: "console"}, out)
	log.Warn("lost")
	log.Warn("one")
	log.Info("two")
	end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "one")
	assert.Contains(t, lines[1], "two")
}
