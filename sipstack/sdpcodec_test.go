package sipstack

import (
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSDPOfWidebandCodecs(t *testing.T) {
	t.Parallel()
	all := []media.Codec{media.Opus, media.G722, media.PCMU, media.PCMA}
	opus := "a=rtpmap:111 opus/48000/2"
	for name, tc := range map[string]struct {
		lines  []string
		codec  media.Codec
		number uint8
		event  uint8
		clock  int
	}{
		"G.722 has a number of its own":    {[]string{"m=audio 4000 RTP/AVP 9 0"}, media.G722, 9, 0, 0},
		"G.722 by the clock of RFC 3551":   {[]string{"m=audio 4000 RTP/AVP 96 0", "a=rtpmap:96 G722/8000"}, media.G722, 96, 0, 0},
		"and by no other":                  {[]string{"m=audio 4000 RTP/AVP 96 0", "a=rtpmap:96 G722/16000"}, media.PCMU, 0, 0, 0},
		"Opus":                             {[]string{"m=audio 4000 RTP/AVP 111 0", opus}, media.Opus, 111, 0, 0},
		"Opus in small letters or not":     {[]string{"m=audio 4000 RTP/AVP 111 0", "a=rtpmap:111 OPUS/48000/2"}, media.Opus, 111, 0, 0},
		"Opus is always as if stereo":      {[]string{"m=audio 4000 RTP/AVP 111 0", "a=rtpmap:111 opus/48000"}, media.PCMU, 0, 0, 0},
		"as the offerer likes best":        {[]string{"m=audio 4000 RTP/AVP 8 111 9", opus}, media.PCMA, 8, 0, 0},
		"events by the clock of the sound": {[]string{"m=audio 4000 RTP/AVP 111 101 110", opus, "a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000"}, media.Opus, 111, 110, 0},
		"or by the one that there is":      {[]string{"m=audio 4000 RTP/AVP 111 101", opus, "a=rtpmap:101 telephone-event/8000"}, media.Opus, 111, 101, 8000},
		"but not by that of another sound": {[]string{"m=audio 4000 RTP/AVP 9 110", "a=rtpmap:110 telephone-event/48000"}, media.G722, 9, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := ourSide
			local.codecs = all
			d, p := answered(t, description(tc.lines...), local)
			assert.Equal(t, tc.codec, p.Codec)
			assert.Equal(t, tc.number, p.PayloadType)
			assert.Equal(t, tc.event, p.EventType)
			assert.Equal(t, tc.clock, p.EventClock)
			if tc.codec == media.Opus {
				rtpmap, _ := d.MediaDescriptions[0].Attribute("rtpmap")
				assert.Equal(t, "111 opus/48000/2", rtpmap)
			}
		})
	}
}

func TestSDPOfferOfWidebandCodecs(t *testing.T) {
	t.Parallel()
	local := ourSide
	local.codecs = []media.Codec{media.Opus, media.G722, media.PCMU}
	offer := string(offerSDP(local))
	for _, line := range []string{
		"m=audio 20000 RTP/AVP 107 9 0 102 101", "a=rtpmap:107 opus/48000/2", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
		"a=fmtp:107 maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1",
		"a=rtpmap:102 telephone-event/48000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:102 0-15", "a=fmtp:101 0-15",
	} {
		assert.Contains(t, offer, line+"\r\n")
	}
	for line, want := range map[string]uint8{"telephone-event/48000": 102, "telephone-event/8000": 101} {
		answer, err := readSDP(description("m=audio 4000 RTP/AVP 107 96", "a=rtpmap:107 opus/48000/2", "a=rtpmap:96 "+line))
		require.NoError(t, err)
		p, err := acceptSDP(answer, local)
		require.NoError(t, err)
		assert.Equal(t, media.Opus, p.Codec)
		assert.Equal(t, want, p.EventType, "events come under the number that we offered")
	}
}
