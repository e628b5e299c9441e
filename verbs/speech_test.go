package verbs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVoices(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ attributes, voice, locale, gender string }{
		"none":                             {``, "susan", "en_US", "female"},
		"male":                             {`gender="male"`, "dave", "en_US", "male"},
		"locale":                           {`locale="de"`, "katrin", "de", "female"},
		"locale with a hyphen":             {`locale="fr-ca" gender="male"`, "liam", "fr_CA", "male"},
		"locale with an underscore":        {`locale="CMN_cn"`, "zhiyu", "cmn-CN", "female"},
		"the other gender where one lacks": {`locale="es_MX" gender="male"`, "rosa", "es_MX", "female"},
		"by name":                          {`voice="simon"`, "simon", "en_UK", "male"},
		"name before locale and gender":    {`voice="simon" locale="de" gender="female"`, "simon", "en_UK", "male"},
		"enhanced":                         {`voice="ruth"`, "ruth", "en_US", "female"},
		"standard before enhanced":         {`gender="male" locale="en_US"`, "dave", "en_US", "male"},
		"one that the table does not list": {`voice="salli_enh"`, "salli_enh", "en_US", "female"},
		"configured":                       {`voice="hal"`, "hal", "en_SPACE", "male"},
		"locale of a configured one":       {`locale="en-space"`, "hal", "en_SPACE", "male"},
		"configured in place of a default": {`voice="kate"`, "kate", "en_UK", "female"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := NewParser(Config{Voices: []Voice{{"hal", "en_SPACE", "male", VoiceStandard}, {"kate", "en_UK", "female", VoiceStandard}}})
			d, err := p.Parse([]byte("<Response><SpeakSentence "+tc.attributes+">Hi</SpeakSentence></Response>"), "")
			require.NoError(t, err)
			assert.Equal(t, Speech{Voice: tc.voice, Locale: tc.locale, Gender: tc.gender, Text: "Hi"}, d.Verbs[0].(*SpeakSentence).Speech)
		})
	}
}

func TestVoiceNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range DefaultVoices() {
		assert.False(t, seen[v.Name], v.Name)
		seen[v.Name] = true
		assert.Contains(t, []string{"female", "male"}, v.Gender)
	}
}

func TestSpeech(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, text, ssml string }{
		"plain":              {" Hello,\n\t world! ", "Hello, world!", ""},
		"entities":           {"a &lt;b&gt; &amp; c", "a <b> & c", ""},
		"CDATA":              {"<![CDATA[a <b> & c]]>", "a <b> & c", ""},
		"comment":            {"a<!-- x -->b", "ab", ""},
		"break":              {`a<break time="1s"/>b`, "a b", `<speak>a<break time="1s"/>b</speak>`},
		"break with content": {`a<break>x</break>b`, "a xb", `<speak>a<break/>xb</speak>`},
		"escaped":            {`<s>a &lt; "b" &amp; c</s>`, `a < "b" & c`, `<speak><s>a &lt; &quot;b&quot; &amp; c</s></speak>`},
		"sentences":          {"<p><s>One.</s><s>Two.</s></p>", "One. Two.", "<speak><p><s>One.</s><s>Two.</s></p></speak>"},
		"sub":                {`<sub alias="Mister &quot;X&quot;">Mr. <emphasis>X</emphasis></sub>`, `Mister "X"`, `<speak><sub alias="Mister &quot;X&quot;">Mr. <emphasis>X</emphasis></sub></speak>`},
		"phoneme":            {`<phoneme ph="təˈmeɪtoʊ" alphabet="ipa">tomato</phoneme>`, "tomato", `<speak><phoneme ph="təˈmeɪtoʊ">tomato</phoneme></speak>`},
		"lang":               {`<lang xml:lang="FR_fr">oui</lang>`, "oui", `<speak><lang xml:lang="fr-FR">oui</lang></speak>`},
		"order of attributes": {`<prosody volume="-6dB" rate="90%" pitch="+5%">x</prosody>`, "x",
			`<speak><prosody pitch="+5%" rate="90%" volume="-6dB">x</prosody></speak>`},
		"unknown tags":         {`<voice name="x">a <b>b</b></voice> c`, "a b c", ""},
		"known within unknown": {`<b>a <emphasis level="strong">b</emphasis></b>`, "a b", `<speak>a <emphasis level="strong">b</emphasis></speak>`},
		"date":                 {`<say-as format="dmy" interpret-as="date">1.2.26</say-as>`, "1.2.26", `<speak><say-as interpret-as="date" format="dmy">1.2.26</say-as></speak>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := only(t, "<Response><SpeakSentence>"+tc.body+"</SpeakSentence></Response>").(*SpeakSentence).Speech
			assert.Equal(t, tc.text, s.Text)
			assert.Equal(t, tc.ssml, s.SSML)
		})
	}
}
