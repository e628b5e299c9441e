package sipstack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	theirFingerprint = "sha-256 01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F:20"
	ourFingerprint   = "sha-256 A1:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F:20"
)

// protecting is our side with keys, each made of one byte: the number of its suite.
func protecting(srtp SRTP) sdpLocal {
	local := ourSide
	local.keys.srtp = srtp
	if srtp.on() {
		local.keys.fingerprint = ourFingerprint
		for _, suite := range media.Suites() {
			local.keys.sends = append(local.keys.sends, keyFor(suite, byte(suite)))
		}
	}
	return local
}

func keyFor(s media.Suite, b byte) media.Key {
	k, _ := media.NewKey(s, bytes.Repeat([]byte{b}, s.KeyLength()))
	return k
}

// cryptoOf is an a=crypto line of the peer's.
func cryptoOf(tag int, s media.Suite) string {
	return fmt.Sprintf("a=crypto:%s", cryptoLine(fmt.Sprint(tag), keyFor(s, 'x')))
}

func TestSDPOfProtectedSound(t *testing.T) {
	t.Parallel()
	sha80, gcm := cryptoOf(1, media.AES128SHA80), cryptoOf(7, media.AES256GCM)
	sdes := func(s media.Suite) media.Secure {
		return media.Secure{Send: keyFor(s, byte(s)), Receive: keyFor(s, 'x')}
	}
	dtls := func(client bool) media.Secure {
		return media.Secure{DTLS: media.DTLS{Fingerprint: theirFingerprint, Client: client}}
	}
	fingerprint := "a=fingerprint:" + theirFingerprint
	const refused = "488"
	for name, tc := range map[string]struct {
		lines              []string
		off, opt, required string // an attribute of the answer, "" none of protection, refused
		want               media.Secure
	}{
		"in the clear": {[]string{"m=audio 4000 RTP/AVP 0"}, "", "", refused, media.Secure{}},
		"SDES": {
			[]string{"m=audio 4000 RTP/SAVP 0", sha80}, refused,
			"crypto:1 AES_CM_128_HMAC_SHA1_80", "crypto:1 AES_CM_128_HMAC_SHA1_80", sdes(media.AES128SHA80),
		},
		"SDES with feedback": {
			[]string{"m=audio 4000 RTP/SAVPF 0", sha80}, refused,
			"crypto:1 AES_CM_128_HMAC_SHA1_80", "crypto:1 AES_CM_128_HMAC_SHA1_80", sdes(media.AES128SHA80),
		},
		"the first suite that we can do": {
			[]string{"m=audio 4000 RTP/SAVP 0", "a=crypto:3 F8_128_HMAC_SHA1_80 inline:AAAA", gcm, sha80}, refused,
			"crypto:7 AEAD_AES_256_GCM", "crypto:7 AEAD_AES_256_GCM", sdes(media.AES256GCM),
		},
		"opportunistic": { // RFC 8643
			[]string{"m=audio 4000 RTP/AVP 0", sha80}, "",
			"crypto:1 AES_CM_128_HMAC_SHA1_80", "crypto:1 AES_CM_128_HMAC_SHA1_80", sdes(media.AES128SHA80),
		},
		"SDES without a key":     {[]string{"m=audio 4000 RTP/SAVP 0"}, refused, refused, refused, media.Secure{}},
		"SDES with a broken key": {[]string{"m=audio 4000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"}, refused, refused, refused, media.Secure{}},
		"DTLS, we may choose": {
			[]string{"m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=setup:actpass", fingerprint}, refused,
			"setup:active", "setup:active", dtls(true),
		},
		"DTLS, they begin": {
			[]string{"m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=setup:active", fingerprint}, refused,
			"setup:passive", "setup:passive", dtls(false),
		},
		"DTLS, they wait": {
			[]string{"m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=setup:passive", fingerprint}, refused,
			"setup:active", "setup:active", dtls(true),
		},
		"DTLS of the whole session": {
			[]string{"a=setup:actpass", fingerprint, "m=audio 4000 UDP/TLS/RTP/SAVP 0"}, refused,
			"setup:active", "setup:active", dtls(true),
		},
		"DTLS under another name": {
			[]string{"m=audio 4000 RTP/SAVPF 0", fingerprint}, refused,
			"setup:active", "setup:active", dtls(true),
		},
		"DTLS without a fingerprint": {[]string{"m=audio 4000 UDP/TLS/RTP/SAVP 0"}, refused, refused, refused, media.Secure{}},
		"DTLS by a weak hash":        {[]string{"m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=fingerprint:md5 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F"}, refused, refused, refused, media.Secure{}},
		"DTLS without protection":    {[]string{"m=audio 4000 UDP/TLS/RTP/AVP 0", fingerprint}, refused, refused, refused, media.Secure{}},
		"keys are no handshake":      {[]string{"m=audio 4000 UDP/TLS/RTP/SAVP 0", sha80}, refused, refused, refused, media.Secure{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for srtp, want := range map[SRTP]string{SRTPOff: tc.off, "": tc.off, SRTPOptional: tc.opt, SRTPRequired: tc.required} {
				remote, err := readSDP(description(tc.lines...))
				require.NoError(t, err)
				answer, p, err := answerSDP(remote, protecting(srtp))
				if want == refused {
					require.ErrorIs(t, err, errNoCommonCodec, "%v", srtp)
					continue
				}
				require.NoError(t, err, "%v", srtp)
				for _, attribute := range []string{"a=crypto", "a=setup", "a=fingerprint"} {
					assert.Equal(t, want != "" && strings.Contains(want, "crypto") == (attribute == "a=crypto"),
						strings.Contains(string(answer), attribute), "%v: %s in %s", srtp, attribute, answer)
				}
				if want == "" {
					assert.False(t, p.Secure.On(), "%v", srtp)
					continue
				}
				assert.Equal(t, tc.want, p.Secure)
				assert.Contains(t, string(answer), "a="+want)
				if tc.want.DTLS != (media.DTLS{}) {
					assert.Contains(t, string(answer), "a=fingerprint:"+ourFingerprint+"\r\n")
				} else {
					assert.Contains(t, string(answer), " inline:"+base64.StdEncoding.EncodeToString(tc.want.Send.Secret())+"\r\n")
				}
			}
		})
	}
}

func TestSDPOfferOfProtectedSound(t *testing.T) {
	t.Parallel()
	for srtp, proto := range map[SRTP]string{SRTPOff: "RTP/AVP", SRTPOptional: "RTP/AVP", SRTPRequired: "RTP/SAVP"} {
		local := protecting(srtp)
		offer := string(offerSDP(local))
		assert.Contains(t, offer, "m=audio 20000 "+proto+" 0 8 101\r\n")
		assert.Equal(t, len(local.keys.sends), strings.Count(offer, "a=crypto:"))

		answer, err := readSDP(description("m=audio 4000 "+proto+" 0", cryptoOf(3, media.AES128SHA80)))
		require.NoError(t, err)
		p, err := acceptSDP(answer, local)
		require.NoError(t, err)
		assert.Equal(t, srtp.on(), p.Secure.On())
		if srtp.on() {
			assert.Equal(t, media.Secure{Send: keyFor(media.AES128SHA80, byte(media.AES128SHA80)), Receive: keyFor(media.AES128SHA80, 'x')}, p.Secure)
		}
		plain, err := readSDP(description("m=audio 4000 RTP/AVP 0"))
		require.NoError(t, err)
		p, err = acceptSDP(plain, local)
		if srtp == SRTPRequired {
			require.ErrorIs(t, err, errNoCommonCodec)
		} else {
			require.NoError(t, err)
			assert.False(t, p.Secure.On())
		}
	}
}

func TestSDPCryptoLines(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 30))
	for line, want := range map[string]bool{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key:                           true,
		"1 aes_cm_128_hmac_sha1_32 INLINE:" + key + "|2^48":                 true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1048576 WSH=64 -x=y":  true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4":             false, // an identifier of the key in each packet
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:4":                  false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + ";inline:" + key:        false, // several keys
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " UNENCRYPTED_SRTP":     false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " UNAUTHENTICATED_SRTP": false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " KDR=1":                false,
		"1 AES_CM_128_HMAC_SHA1_80 uri:" + key:                              false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:!":                                false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 44):       false,
		"1 AES_CM_128_HMAC_SHA1_80 inline":                                  false,
		"x AES_CM_128_HMAC_SHA1_80 inline:" + key:                           false,
		"1 NULL_HMAC_SHA1_80 inline:" + key:                                 false,
		"1 AES_CM_128_HMAC_SHA1_80":                                         false,
		"":                                                                  false,
	} {
		c, ok := readCrypto(line)
		assert.Equal(t, want, ok, line)
		if ok {
			assert.Equal(t, bytes.Repeat([]byte{1}, 30), c.key.Secret(), line)
		}
	}
}

// TestAProtectedCallIsNotGoneOnWith holds that a snapshot has no key, and that it shows all the same that there was one.
func TestAProtectedCallIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	c := &session{params: media.Params{Secure: media.Secure{Send: keyFor(media.AES128SHA80, 'k'), Receive: keyFor(media.AES128SHA80, 'x')}}}
	text, err := json.Marshal(c.saved())
	require.NoError(t, err)
	assert.NotContains(t, string(text), "kkkk")
	var saved savedSession
	require.NoError(t, json.Unmarshal(text, &saved))
	_, _, err = (&Stack{}).restoreSession("c-1", saved, nil)
	require.ErrorIs(t, err, errKeysGone)
}
