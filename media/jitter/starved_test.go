package jitter

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// starved is the delay of packets of a phone that could not send for a while, from the packet `from` on, and then sent all at once.
func starved(from, packets int) func(int) time.Duration {
	return func(i int) time.Duration {
		if i >= from && i < from+packets {
			return time.Duration(from+packets-i) * 20 * time.Millisecond
		}
		return 0
	}
}

// TestWhatAStarvedPhoneSendsAtOnceIsHeard up to a second of it, and late: what was not sent in time cannot be heard in time.
func TestWhatAStarvedPhoneSendsAtOnceIsHeard(t *testing.T) {
	for name, tc := range map[string]struct {
		from, packets int
		late          int // packets at most
	}{
		"at the beginning":                 {0, 50, 0},
		"at the beginning, for long":       {0, 75, 30},
		"in the middle":                    {150, 50, 0},
		"in the middle, for a moment":      {150, 12, 0},
		"in the middle, for long":          {150, 100, 45},
		"in the middle, and a lost one":    {150, 50, 0},
		"right after the network is known": {30, 50, 0},
	} {
		t.Run(name, func(t *testing.T) {
			packets := speaker(1000, starved(tc.from, tc.packets))
			if name == "in the middle, and a lost one" {
				packets[170].at = lost
			}
			levels(packets)
			heard, told, b := hear(packets, 995)
			assert.LessOrEqual(t, told.late, tc.late)
			have := map[int16]bool{}
			for _, v := range heard {
				have[v] = true
			}
			var missing []int
			for i, p := range packets[:970] {
				if p.at >= 0 && !pause(i) && !have[level(i)] {
					missing = append(missing, i)
				}
			}
			assert.LessOrEqual(t, len(missing), tc.late, "%v", missing)
			assert.Less(t, b.held(), 300*time.Millisecond, "it is made up for by and by")
		})
	}
}

// level is the sound of a packet that tells which it is.
func level(i int) int16 { return int16(1000 + 20*i) }

// pause reports whether the speaker is silent: for 0.6 s of every two.
func pause(i int) bool { return i%100 >= 70 }

func levels(packets []sent) {
	for i := range packets {
		for k := range frame {
			binary.BigEndian.PutUint16(packets[i].Payload[2*k:], uint16(level(i)))
		}
		if pause(i) {
			clear(packets[i].Payload)
		}
	}
}
