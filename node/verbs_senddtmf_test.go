package node_test

import (
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
)

func TestSendDtmfPressesKeys(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		c := b.call(response(`<SendDtmf toneDuration="100" toneInterval="200">1w2#</SendDtmf>`))
		sounds(t, 1200*time.Millisecond, since(began, c.Expect("BYE").Time))
		type key struct {
			code byte
			at   uint32 // since the first
		}
		var keys []key
		var first uint32
		ends := 0
		sound := heard(c)
		for _, p := range c.Packets() {
			if p.PayloadType != 101 {
				continue
			}
			if p.Marker {
				if keys == nil {
					first = p.Timestamp
				}
				keys = append(keys, key{p.Payload[0], p.Timestamp - first})
			}
			if p.Payload[1]&0x80 != 0 {
				ends++
			}
		}
		assert.Equal(t, []key{{1, 0}, {2, 4800}, {11, 7200}}, keys, "600 ms and 300 ms apart")
		assert.Equal(t, 9, ends, "each end is told three times")
		assert.Zero(t, sound.Loud())
		b.disconnect("hangup", "")
	})
}

func TestSendDtmfToAPhoneWithoutEventsIsHeard(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<SendDtmf>5D</SendDtmf>`)))
		c := b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.2:5060", NoEvents: true}).Call(b.uri("desk"))
		c.Expect("BYE")
		sound := heard(c)
		sounds(t, 400*time.Millisecond, sound.Loud())
		assert.Greater(t, sound.Tone(770), 0.1)
		assert.Greater(t, sound.Tone(1336), 0.1)
		assert.Greater(t, sound.Tone(1633), 0.1)
		b.disconnect("hangup", "")
	})
}

func TestSendDtmfEndsWithTheCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<SendDtmf toneDuration="5000">11111</SendDtmf>`))
		time.Sleep(2 * time.Second)
		c.Bye()
		b.disconnect("hangup", "")
	})
}
