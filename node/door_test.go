package node

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/sipstack"
	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Whoever forges addresses must not fill the disk: docs/operating.md promises twenty lines a second at most.
func TestLinesAboutWhoIsTurnedAwayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		d := &door{metrics: newMetrics(BuildInfo{}), log: zap.New(core)}
		turnAway := func(n byte, first bool) {
			for i := range n {
				d.TurnedAway(sipstack.Refusal{Source: netip.AddrFrom4([4]byte{192, 0, 2, i}), Reason: sipstack.RefusedRate, First: first})
			}
		}
		turnAway(100, false)
		assert.Zero(t, logs.Len(), "a burst is told of when it begins")
		turnAway(100, true)
		assert.Equal(t, 20, logs.FilterMessage("SIP source turned away").FilterLevelExact(zapcore.WarnLevel).Len())
		time.Sleep(time.Second) // fake
		turnAway(1, true)
		assert.Equal(t, 21, logs.Len())
	})
}
