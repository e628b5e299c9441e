package scenario

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPercentHitsTheSamePacketsInEachRunAndOthersWithAnotherSeed(t *testing.T) {
	lost := func(seed int) (which []int) {
		n := impairing(nil, []impairment{{Lose: packetPattern{sipPattern: sipPattern{text: "rtp"}, rtp: true}, Percent: 30, Seed: seed}})
		for i := range 1000 {
			if n.fate([]byte{0x80}, true, netip.AddrPort{}).Lost {
				which = append(which, i)
			}
		}
		return which
	}
	assert.InDelta(t, 300, len(lost(0)), 60)
	assert.Equal(t, lost(7), lost(7))
	assert.NotEqual(t, lost(0), lost(7))
}
