package media

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media/jitter"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spoken returns a packet with 20 ms of the level 1000·n, as μ-law has it.
func spoken(t *testing.T, n int) []byte {
	t.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n), SSRC: 42}}
	p.Payload = slices.Repeat([]byte{linearToMuLaw(int16(1000 * n))}, 160)
	raw, err := p.Marshal()
	require.NoError(t, err)
	return raw
}

// sounds decodes a payload.
func sounds(t *testing.T, codec Codec, payload []byte) []int16 {
	t.Helper()
	pcm := make([]int16, jitter.MaxPacket)
	n, err := newDecoder(codec).Decode(pcm, payload)
	require.NoError(t, err)
	return pcm[:n]
}

// levels returns the first sample of every frame, in thousands, as near as μ-law is.
func levels(sound []int16) (of []int) {
	for i := 0; i < len(sound); i += 160 {
		of = append(of, (int(sound[i])+500)/1000)
	}
	return of
}

func TestWhoListensHearsBothDirectionsInStep(t *testing.T) {
	for name, tc := range map[string]struct {
		packets []int // sent in this order, one every 20 ms
		want    []int
	}{
		"in order":                {[]int{1, 2, 3, 4}, []int{0, 0, 0, 1, 2, 3, 4}},
		"lost, and made up":       {[]int{1, 2, 4}, []int{0, 0, 0, 1, 2, 2, 4}},
		"in other order":          {[]int{1, 3, 2, 4}, []int{0, 0, 0, 1, 2, 3, 4}},
		"twice, and then no more": {[]int{1, 2, 2, 3}, []int{0, 0, 0, 1, 2, 3, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var in, out []int16
				stop := b.Listen(func(i, o []int16) { in, out = append(in, i...), append(out, o...) })
				b.Configure(params())
				played := make(chan error, 1)
				go func() { played <- b.Play(t.Context(), &ramp{length: 5 * 160}) }()
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				in, out = nil, nil
				for _, n := range tc.packets {
					b.rtp.send(spoken(t, n), b.local())
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Duration(len(tc.want)-len(tc.packets)) * 20 * time.Millisecond)
				stop()
				stop()
				time.Sleep(time.Second)
				synctest.Wait()
				require.NoError(t, <-played)
				assert.Equal(t, tc.want, levels(in))
				require.Len(t, out, len(in), "nothing is told after stop")
				begun := slices.IndexFunc(out, func(v int16) bool { return v != 0 })
				for i := range 3 {
					assert.Equal(t, rampSample(i*160)+out[begun]-rampSample(0), out[begun+i*160])
				}
			})
		})
	}
}

func TestWhoListensHearsSilenceWhereNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		heard := 0
		stop := b.Listen(func(in, out []int16) {
			heard += len(in)
			assert.Equal(t, make([]int16, len(in)), in)
			assert.Equal(t, make([]int16, len(in)), out)
		})
		defer stop()
		b.Configure(params())
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		assert.Equal(t, SampleRate, heard)
	})
}
