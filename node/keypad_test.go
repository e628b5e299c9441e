package node

import (
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
)

// TestKeypadTellsWhoListens presses a key at each stage.
func TestKeypadTellsWhoListens(t *testing.T) {
	var k keypad
	typed := func(keys <-chan byte) (all string) {
		for len(keys) > 0 {
			all += string(rune(<-keys))
		}
		return all
	}
	press := func(key byte) { k.press(media.Digit{Key: key}) }
	press('1')
	behind, stopBehind := k.OverhearDigits()
	press('2')
	record, stopRecord := k.Digits()
	press('3')
	gather, stopGather := k.TakeDigits()
	press('4')
	inner, stopInner := k.Digits()
	press('5')
	stopInner()
	stopInner()
	press('6')
	stopGather()
	press('7')
	stopRecord()
	press('8')
	stopBehind()
	press('9')
	assert.Equal(t, "23578", typed(behind), "all but what was taken")
	assert.Equal(t, "37", typed(record))
	assert.Equal(t, "46", typed(gather))
	assert.Equal(t, "5", typed(inner), "the newest")

	stuck, stop := k.OverhearDigits()
	defer stop()
	for range maxTypedAhead + 1 {
		press('0')
	}
	assert.Len(t, stuck, maxTypedAhead, "and nobody was held up")
}
