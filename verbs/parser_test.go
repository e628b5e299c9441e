package verbs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	_, err := NewParser(Config{}).Parse([]byte("<Response>\n <A/>\n <B/><C/></Response>"), "")
	assert.EqualError(t, err, "line 2, column 2, <A>: unknown verb A (and 2 more errors)")
	var first *SyntaxError
	require.ErrorAs(t, err, &first)
	assert.Equal(t, SyntaxError{2, 2, "A", "unknown verb A"}, *first)
	var all SyntaxErrors
	require.ErrorAs(t, err, &all)
	assert.Len(t, all, 3)
	assert.NotErrorIs(t, err, context.Canceled)
}

func TestWarningsComeWithErrors(t *testing.T) {
	t.Parallel()
	d, err := NewParser(Config{}).Parse([]byte(`<Response><Pause x="1"/><A/></Response>`), "")
	require.Error(t, err)
	assert.Empty(t, d.Verbs)
	require.Len(t, d.Warnings, 1)
	assert.Equal(t, "line 1, column 18, <Pause>: unknown attribute x is ignored", d.Warnings[0].String())
}

func TestBaseMustBeAbsolute(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"/bxml", "http://user:s3cret@ho st/", "%"} {
		_, err := NewParser(Config{}).Parse([]byte("<Response/>"), base)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "s3cret")
		assert.False(t, errors.As(err, new(*SyntaxError)))
	}
}

// TestReferTargetIsKeptByteForByte has everything in it that somebody might want to tidy up.
func TestReferTargetIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	const target = "SIP:%61lice;x=%2f@PBX.example:05060;Lr?Replaces=a%40b%3bto-tag%3D1&X=?/:"
	r := only(t, "<Response><Refer><SipUri>\n\t"+strings.ReplaceAll(target, "&", "&amp;")+" \r\n</SipUri></Refer></Response>").(*Refer)
	assert.Equal(t, target, r.Target)
	r = only(t, "<Response><Refer><SipUri>sip:<!-- x -->a@<![CDATA[b.example]]></SipUri></Refer></Response>").(*Refer)
	assert.Equal(t, "sip:a@b.example", r.Target)
}

// TestMessagesHoldNoSecrets looks for the password of URLs and attributes in everything that is said about a document.
func TestMessagesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`<Redirect redirectUrl="ftp://u:s3cret@h/"/>`,
		`<Redirect redirectUrl="https://u:s3cret@h:99999/"/>`,
		`<Redirect redirectUrl="https://u:s3/s3cret@h:x/"/>`,
		`<Redirect redirectUrl="https://u s3cret@h/"/>`,
		`<Redirect redirectUrl="http://u:s3cret@h/" password="s3cret" passwrod="s3cret"/>`,
		`<Record recordCompleteUrl="http://u:s3cret@h/" password="s3cret"/>`,
		`<StartStream destination="https://u:s3cret@h/" destinationPassword="s3cret"/>`,
		`<PlayAudio>ftp://u:s3cret@h/</PlayAudio>`,
		`<Refer><SipUri>sip:u:s3cret#@h</SipUri></Refer>`,
		`<Refer><SipUri>sip:u:s3cret@h_</SipUri></Refer>`,
		`<Forward to="sip:u:s3cret@h_"/>`,
		`<Bridge>https://u:s3cret@h/ x</Bridge>`,
	} {
		d, err := NewParser(Config{}).Parse([]byte("<Response>"+body+"</Response>"), "")
		require.True(t, err != nil || len(d.Warnings) > 0, body)
		var all SyntaxErrors
		if errors.As(err, &all) {
			for _, e := range all {
				assert.NotContains(t, e.Error(), "s3cret")
			}
		}
		for _, w := range d.Warnings {
			assert.NotContains(t, w.String(), "s3cret")
		}
	}
}

// hostileDocuments are about size bytes long, and would be slow with a careless reader.
func hostileDocuments(size int) map[string]string {
	fill := func(open, part, close string) string {
		return open + strings.Repeat(part, (size-len(open)-len(close))/len(part)) + close
	}
	return map[string]string{
		"one giant attribute":     fill(`<Response><Redirect redirectUrl="`, "a", `"/></Response>`),
		"one giant name":          fill("<Response><", "a", "/></Response>"),
		"one giant SIP URI":       fill("<Response><Refer><SipUri>sip:", "a.", "a</SipUri></Refer></Response>"),
		"unknown verbs":           fill("<Response>", "<a/>", "</Response>"),
		"unknown attributes":      fill("<Response><Pause ", "a=''\n", "/></Response>"),
		"entities":                fill("<Response><Tag>", "&lt;", "</Tag></Response>"),
		"undefined entities":      fill("<Response><Tag>", "&a;", "</Tag></Response>"),
		"ampersands":              fill("<Response><Tag>", "&", "</Tag></Response>"),
		"text between verbs":      fill("<Response>", "x<Tag/>", "</Response>"),
		"namespaces":              fill("<Response>", "<Tag xmlns:a='b'>", ""),
		"namespaces side by side": fill("<Response xmlns:a='b'>", "<Tag xmlns:b='c'/>", "</Response>"),
		"nesting":                 fill("<Response>", "<p>", ""),
		"comments":                fill("<Response>", "<!---->", "</Response>"),
		"SSML":                    fill("<Response><SpeakSentence>x", "<x/>", "</SpeakSentence></Response>"),
		"nested SSML":             fill("<Response><SpeakSentence>x"+strings.Repeat("<sub alias='b'>", 50), "<s/>", strings.Repeat("</sub>", 50)+"</SpeakSentence></Response>"),
	}
}

// TestHostileDocumentsCostNoMoreThanTheirLength counts allocations, which do not depend on how busy the machine is.
func TestHostileDocumentsCostNoMoreThanTheirLength(t *testing.T) {
	for name, doc := range hostileDocuments(8 << 10) {
		t.Run(name, func(t *testing.T) {
			perByte := testing.AllocsPerRun(1, func() {
				_, _ = NewParser(Config{}).Parse([]byte(doc), "")
				Mask(doc)
			}) / float64(len(doc))
			assert.Less(t, perByte, 10.0)
		})
	}
}

// BenchmarkParseHostile shows how long they take.
func BenchmarkParseHostile(b *testing.B) {
	for name, doc := range hostileDocuments(64 << 10) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = NewParser(Config{}).Parse([]byte(doc), "")
				Mask(doc)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <SpeakSentence voice="susan">One moment, <break time="1s"/> handing you over.</SpeakSentence>
  <Refer referCompleteUrl="/refer-done" tag="to-desk-2"><SipUri>sip:desk2@pbx.example.com</SipUri></Refer>
</Response>`)
	p := NewParser(Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(body, "https://app.example/bxml"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestARelativeURLHasTheUserOfItsBase(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://app.example/bxml":      "",
		"http://u:p@app.example/bxml":  "line 1, column 21, <Redirect>: redirectUrl gets credentials without encryption",
		"https://u:p@app.example/bxml": "",
	} {
		doc, err := NewParser(Config{}).Parse([]byte(`<Response><Redirect redirectUrl="/next"/></Response>`), base)
		require.NoError(t, err)
		var got string
		for _, w := range doc.Warnings {
			got += w.String()
		}
		assert.Equal(t, want, got, base)
	}
}
