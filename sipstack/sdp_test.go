package sipstack

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/pion/sdp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var ourSide = sdpLocal{addr: netip.MustParseAddr("192.0.2.1"), port: 20000, sessionID: 7, version: 1}

// description is a session description with these lines after an ordinary head.
func description(lines ...string) []byte {
	head := []string{"v=0", "o=phone 1 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0"}
	return []byte(strings.Join(append(head, lines...), "\r\n") + "\r\n")
}

// answered returns the answer to an offer, read by another reader than ours.
func answered(t *testing.T, offer []byte, local sdpLocal) (*sdp.SessionDescription, media.Params) {
	t.Helper()
	remote, err := readSDP(offer)
	require.NoError(t, err)
	answer, p, err := answerSDP(remote, local)
	require.NoError(t, err)
	d := &sdp.SessionDescription{}
	require.NoError(t, d.Unmarshal(answer), "%s", answer)
	return d, p
}

func TestSDPAnswer(t *testing.T) {
	t.Parallel()
	remote, err := readSDP(description("m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"))
	require.NoError(t, err)
	answer, p, err := answerSDP(remote, ourSide)
	require.NoError(t, err)
	assert.Equal(t, strings.Join([]string{
		"v=0", "o=- 7 1 IN IP4 192.0.2.1", "s=callengine", "c=IN IP4 192.0.2.1", "t=0 0",
		"m=audio 20000 RTP/AVP 8 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15",
		"a=ptime:20", "a=sendrecv", "",
	}, "\r\n"), string(answer))
	assert.Equal(t, media.Params{
		Codec: media.PCMA, PayloadType: 8, EventType: 101,
		Remote: netip.MustParseAddrPort("198.51.100.7:4000"), Send: true, Receive: true,
	}, p)
}

func TestSDPAnswerChoosesTheCodec(t *testing.T) {
	t.Parallel()
	ulaw, alaw := []media.Codec{media.PCMU}, []media.Codec{media.PCMA}
	for name, tc := range map[string]struct {
		lines  []string
		ours   []media.Codec
		codec  media.Codec
		number uint8
		event  uint8
	}{
		"the offer's first":                 {[]string{"m=audio 4000 RTP/AVP 8 0"}, nil, media.PCMA, 8, 0},
		"the offer's first, ours reversed":  {[]string{"m=audio 4000 RTP/AVP 0 8"}, []media.Codec{media.PCMA, media.PCMU}, media.PCMU, 0, 0},
		"ours are a filter":                 {[]string{"m=audio 4000 RTP/AVP 8 0"}, ulaw, media.PCMU, 0, 0},
		"static types without rtpmap":       {[]string{"m=audio 4000 RTP/AVP 0"}, nil, media.PCMU, 0, 0},
		"past unknown codecs":               {[]string{"m=audio 4000 RTP/AVP 111 9 18 0", "a=rtpmap:111 opus/48000/2"}, nil, media.PCMU, 0, 0},
		"a dynamic type":                    {[]string{"m=audio 4000 RTP/AVP 97 0", "a=rtpmap:97 PCMA/8000"}, nil, media.PCMA, 97, 0},
		"letter case and a channel":         {[]string{"m=audio 4000 RTP/AVP 96", "a=rtpmap:96 pcmu/8000/1"}, nil, media.PCMU, 96, 0},
		"two channels are another codec":    {[]string{"m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/8000/2"}, nil, media.PCMA, 8, 0},
		"another rate is another codec":     {[]string{"m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/16000"}, nil, media.PCMA, 8, 0},
		"a static type that is redefined":   {[]string{"m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 opus/48000/2"}, nil, media.PCMA, 8, 0},
		"events under the offer's type":     {[]string{"m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"}, nil, media.PCMU, 0, 96},
		"events at our rate only":           {[]string{"m=audio 4000 RTP/AVP 96 0 97", "a=rtpmap:96 telephone-event/48000", "a=rtpmap:97 telephone-event/8000"}, alaw[:0], media.PCMU, 0, 97},
		"events before the codec":           {[]string{"m=audio 4000 RTP/AVP 101 8", "a=rtpmap:101 Telephone-Event/8000"}, nil, media.PCMA, 8, 101},
		"events that are not among formats": {[]string{"m=audio 4000 RTP/AVP 8", "a=rtpmap:101 telephone-event/8000"}, nil, media.PCMA, 8, 0},
		"two ports":                         {[]string{"m=audio 4000/2 RTP/AVP 8"}, nil, media.PCMA, 8, 0},
		"with feedback":                     {[]string{"m=audio 4000 RTP/AVPF 8"}, nil, media.PCMA, 8, 0},
		"a tab in the map":                  {[]string{"m=audio 4000 RTP/AVP 97", "a=rtpmap:97\tPCMA/8000"}, nil, media.PCMA, 97, 0},
		"a bandwidth nobody knows":          {[]string{"b=ODD:x", "m=audio 4000 RTP/AVP 8"}, nil, media.PCMA, 8, 0},
		"attributes before the connection":  {[]string{"a=tool:x", "m=audio 4000 RTP/AVP 8", "a=sendrecv", "c=IN IP4 198.51.100.7"}, nil, media.PCMA, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := ourSide
			local.codecs = tc.ours
			d, p := answered(t, description(tc.lines...), local)
			assert.Equal(t, tc.codec, p.Codec)
			assert.Equal(t, tc.number, p.PayloadType)
			assert.Equal(t, tc.event, p.EventType)
			want := 1
			if tc.event != 0 {
				want = 2
			}
			assert.Len(t, d.MediaDescriptions[0].MediaName.Formats, want, "one codec, and events")
		})
	}
}

func TestSDPNoCommonCodec(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"no stream":              {},
		"video only":             {"m=video 4000 RTP/AVP 31"},
		"another codec":          {"m=audio 4000 RTP/AVP 9 18"},
		"a dynamic type unnamed": {"m=audio 4000 RTP/AVP 96"},
		"events only":            {"m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"},
		"encrypted":              {"m=audio 4000 RTP/SAVP 0"},
		"WebRTC":                 {"m=audio 4000 UDP/TLS/RTP/SAVPF 0"},
		"port 0":                 {"m=audio 0 RTP/AVP 0"},
		"the other family":       {"m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"},
		"multicast":              {"m=audio 4000 RTP/AVP 0", "c=IN IP4 224.2.1.1/127"},
		"a broken connection":    {"m=audio 4000 RTP/AVP 0", "c=IN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote, err := readSDP(description(lines...))
			require.NoError(t, err)
			_, _, err = answerSDP(remote, ourSide)
			require.ErrorIs(t, err, errNoCommonCodec)
			_, err = acceptSDP(remote, ourSide)
			require.ErrorIs(t, err, errNoCommonCodec)
		})
	}
}

func TestSDPAnswerHasTheLinesOfTheOffer(t *testing.T) {
	t.Parallel()
	remote, err := readSDP(description(
		"m=video 5000 RTP/AVP 31 34", "a=rtpmap:34 H263/90000",
		"m=audio 0 RTP/AVP 0",
		"m=audio 5002 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
		"m=audio 5004 RTP/AVP 8 0",
		"m=audio 5006 RTP/AVP 0",
		"m=image 5008 udptl t38",
		"m=application 5010/2 TCP/BFCP *",
	))
	require.NoError(t, err)
	answer, p, err := answerSDP(remote, ourSide)
	require.NoError(t, err)
	var lines []string
	for _, line := range strings.Split(string(answer), "\r\n") {
		if strings.HasPrefix(line, "m=") {
			lines = append(lines, line)
		}
	}
	assert.Equal(t, []string{
		"m=video 0 RTP/AVP 31 34", "m=audio 0 RTP/AVP 0", "m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 8",
		"m=audio 0 RTP/AVP 0", "m=image 0 udptl t38", "m=application 0 TCP/BFCP *",
	}, lines)
	assert.Equal(t, uint16(5004), p.Remote.Port())
}

func TestSDPHold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		session, stream string // lines
		send, receive   bool
		answer          string
	}{
		"nothing said":                     {"", "", true, true, "sendrecv"},
		"sendrecv":                         {"", "a=sendrecv", true, true, "sendrecv"},
		"hold with music":                  {"", "a=sendonly", false, true, "recvonly"},
		"they only listen":                 {"", "a=recvonly", true, false, "sendonly"},
		"hold":                             {"", "a=inactive", false, false, "inactive"},
		"hold said for the session":        {"a=sendonly", "", false, true, "recvonly"},
		"the stream prevails":              {"a=inactive", "a=sendrecv", true, true, "sendrecv"},
		"hold by address":                  {"", "c=IN IP4 0.0.0.0", false, true, "recvonly"},
		"hold by address, and they listen": {"a=recvonly", "c=IN IP4 0.0.0.0", false, false, "inactive"},
		"hold by a name":                   {"", "c=IN IP6 hold.invalid", false, true, "recvonly"},
		"letter case":                      {"", "a=SendOnly", false, true, "recvonly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			if tc.session != "" {
				lines = append(lines, tc.session)
			}
			lines = append(lines, "m=audio 4000 RTP/AVP 0")
			if tc.stream != "" {
				lines = append(lines, tc.stream)
			}
			d, p := answered(t, description(lines...), ourSide)
			assert.Equal(t, tc.send, p.Send, "send")
			assert.Equal(t, tc.receive, p.Receive, "receive")
			_, ok := d.MediaDescriptions[0].Attribute(tc.answer)
			assert.True(t, ok, "%v", d.MediaDescriptions[0].Attributes)
		})
	}
}

func TestSDPAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines     []string
		rtp, rtcp string
	}{
		"the session's":           {[]string{"m=audio 4000 RTP/AVP 0"}, "198.51.100.7:4000", ""},
		"the stream's":            {[]string{"m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.8"}, "198.51.100.8:4000", ""},
		"with a TTL":              {[]string{"m=audio 4000 RTP/AVP 0", "c=IN IP4 198.51.100.8/127"}, "198.51.100.8:4000", ""},
		"of another stream":       {[]string{"m=video 1 RTP/AVP 31", "c=IN IP4 198.51.100.9", "m=audio 4000 RTP/AVP 0"}, "198.51.100.7:4000", ""},
		"a name":                  {[]string{"m=audio 4000 RTP/AVP 0", "c=IN IP4 phone.example.com"}, "", ""},
		"RTCP elsewhere":          {[]string{"m=audio 4000 RTP/AVP 0", "a=rtcp:4711"}, "198.51.100.7:4000", "198.51.100.7:4711"},
		"RTCP at another address": {[]string{"m=audio 4000 RTP/AVP 0", "a=rtcp:4711 IN IP4 198.51.100.8"}, "198.51.100.7:4000", "198.51.100.8:4711"},
		"RTCP broken":             {[]string{"m=audio 4000 RTP/AVP 0", "a=rtcp:x"}, "198.51.100.7:4000", ""},
		"RTCP of a named host":    {[]string{"m=audio 4000 RTP/AVP 0", "c=IN IP4 phone.example.com", "a=rtcp:4711"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, p := answered(t, description(tc.lines...), ourSide)
			assert.Equal(t, tc.rtp, text(p.Remote))
			assert.Equal(t, tc.rtcp, text(p.RemoteRTCP))
		})
	}
}

func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestSDPIPv6(t *testing.T) {
	t.Parallel()
	local := ourSide
	local.addr = netip.MustParseAddr("2001:db8::1")
	d, p := answered(t, description("c=IN IP6 2001:db8::2", "m=audio 4000 RTP/AVP 0"), local)
	assert.Equal(t, "[2001:db8::2]:4000", p.Remote.String())
	assert.Equal(t, "IN IP6 2001:db8::1", d.ConnectionInformation.String())
	assert.Equal(t, "IP6", d.Origin.AddressType)
	_, _, err := func() ([]byte, media.Params, error) {
		remote, err := readSDP(description("m=audio 4000 RTP/AVP 0"))
		require.NoError(t, err)
		return answerSDP(remote, local)
	}()
	require.ErrorIs(t, err, errNoCommonCodec, "IPv4 can't be reached from there")
}

func TestSDPPacketTime(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]time.Duration{
		"a=ptime:20": 20 * time.Millisecond, "a=ptime: 30": 30 * time.Millisecond,
		"a=ptime:x": 0, "a=ptime:-1": 0, "a=maxptime:150": 0,
	} {
		_, p := answered(t, description("m=audio 4000 RTP/AVP 0", line), ourSide)
		assert.Equal(t, want, p.PTime, line)
	}
}

func TestSDPOffer(t *testing.T) {
	t.Parallel()
	local := ourSide
	local.version = 3
	assert.Equal(t, strings.Join([]string{
		"v=0", "o=- 7 3 IN IP4 192.0.2.1", "s=callengine", "c=IN IP4 192.0.2.1", "t=0 0",
		"m=audio 20000 RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
		"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv", "",
	}, "\r\n"), string(offerSDP(local)))
	local.codecs = []media.Codec{media.PCMA, media.PCMU}
	assert.Contains(t, string(offerSDP(local)), "m=audio 20000 RTP/AVP 8 0 101\r\n", "in our order")
}

func TestSDPAnswerToOurOffer(t *testing.T) {
	t.Parallel()
	remote, err := readSDP(description("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "a=sendonly"))
	require.NoError(t, err)
	p, err := acceptSDP(remote, ourSide)
	require.NoError(t, err)
	assert.Equal(t, media.Params{
		Codec: media.PCMA, PayloadType: 8, EventType: 101, // events come under the number that we offered
		Remote: netip.MustParseAddrPort("198.51.100.7:4000"), Receive: true,
	}, p)
	for name, lines := range map[string][]string{
		"refused":              {"m=audio 0 RTP/AVP 0"},
		"the second line only": {"m=audio 0 RTP/AVP 0", "m=audio 4000 RTP/AVP 0"},
		"nothing":              {},
	} {
		remote, err := readSDP(description(lines...))
		require.NoError(t, err)
		_, err = acceptSDP(remote, ourSide)
		require.ErrorIs(t, err, errNoCommonCodec, name)
	}
}

func TestSDPMalformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":            "",
		"blank lines":      "\r\n\r\n",
		"no text of SDP":   "hello",
		"another version":  "v=1\r\n",
		"no version":       "o=- 1 1 IN IP4 127.0.0.1\r\nm=audio 1 RTP/AVP 0\r\n",
		"no equals sign":   "v=0\r\nmaudio\r\n",
		"long name":        "v=0\r\nmedia=audio 1 RTP/AVP 0\r\n",
		"stream too short": "v=0\r\nm=audio 1 RTP/AVP\r\n",
		"port too high":    "v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
		"port is a word":   "v=0\r\nm=audio x RTP/AVP 0\r\n",
		"port is negative": "v=0\r\nm=audio -1 RTP/AVP 0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readSDP([]byte(body))
			require.ErrorIs(t, err, errBadSDP)
		})
	}
}

func TestSDPLinesMayEndAnyWay(t *testing.T) {
	t.Parallel()
	offer := string(description("m=audio 4000 RTP/AVP 0"))
	for _, form := range []string{strings.ReplaceAll(offer, "\r\n", "\n"), strings.TrimSpace(offer), offer + "\r\n\r\n"} {
		_, p := answered(t, []byte(form), ourSide)
		assert.Equal(t, "198.51.100.7:4000", p.Remote.String())
	}
}

// FuzzSDP: the answer to whatever can be answered is read again, has the lines of the offer, and one of them is ours.
func FuzzSDP(f *testing.F) {
	f.Add(description("m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"))
	f.Add(description("a=sendonly", "m=video 1 RTP/AVP 31", "m=audio 4000/2 RTP/AVPF 96", "a=rtpmap:96 PCMA/8000/1", "a=rtcp:1 IN IP4 127.0.0.1"))
	f.Add(description("m=image 5 udptl t38", "m=audio 65535 RTP/AVP 0", "c=IN IP6 ::1%x"))
	f.Add([]byte("v=0\nm=audio 1 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=ptime:99999"))
	f.Add(description("m=Audio 4000 rtp/avp 0"))
	f.Add(offerSDP(ourSide))
	f.Fuzz(func(t *testing.T, body []byte) {
		offer, err := readSDP(body)
		if err != nil {
			require.ErrorIs(t, err, errBadSDP)
			return
		}
		body, p, err := answerSDP(offer, ourSide)
		if err != nil {
			require.ErrorIs(t, err, errNoCommonCodec)
			return
		}
		answer, err := readSDP(body)
		require.NoError(t, err)
		require.Len(t, answer.media, len(offer.media))
		ours := 0
		for i, m := range answer.media {
			require.True(t, strings.EqualFold(offer.media[i].kind, m.kind))
			require.Equal(t, offer.media[i].proto, m.proto)
			if m.port == 0 {
				require.Equal(t, offer.media[i].formats, m.formats)
				continue
			}
			ours++
			require.Equal(t, ourSide.port, m.port)
			require.Equal(t, p.Receive, m.recv)
			require.Equal(t, p.Send, m.send)
			back, ok := m.agree(ourSide)
			require.True(t, ok)
			require.Equal(t, p.Codec, back.Codec)
			require.Equal(t, p.PayloadType, back.PayloadType)
			require.Equal(t, p.EventType, back.EventType)
		}
		require.Equal(t, 1, ours)
	})
}
