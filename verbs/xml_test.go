package verbs

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocumentErrors holds what documents cannot say of themselves in comments.
func TestDocumentErrors(t *testing.T) {
	t.Parallel()
	const size = 65536
	padded := func(n int) string {
		const open, close = "<Response><Tag/>", "</Response>"
		return open + strings.Repeat(" ", n-len(open)-len(close)) + close
	}
	for name, tc := range map[string]struct{ doc, want string }{
		"exactly as large as allowed":  {padded(size), ""},
		"one byte too large":           {padded(size + 1), "line 1, column 1: the document is larger than 65536 bytes"},
		"no bytes":                     {"", ""},
		"white space":                  {" \r\n\t ", ""},
		"byte order mark alone":        {"\uFEFF", ""},
		"only a comment":               {"<!-- x -->", "line 1, column 11: the document has no root element"},
		"only a declaration":           {`<?xml version="1.0"?>`, "line 1, column 22: the document has no root element"},
		"plain text":                   {"\n Hello", "line 2, column 2: text may not stand outside the root element"},
		"JSON":                         {`{"a": 1}`, "line 1, column 1: text may not stand outside the root element"},
		"two roots":                    {"<Response/>\n <Response/>", "line 2, column 2: the document has a second root element, Response"},
		"text after the root":          {"<Response/>\nx", "line 2, column 1: text may not stand outside the root element"},
		"reference after the root":     {"<Response/>&#65;", "line 1, column 12: text may not stand outside the root element"},
		"CDATA after the root":         {"<Response/><![CDATA[]]>", "line 1, column 12: text may not stand outside the root element"},
		"end tag after the root":       {"<Response/></Response>", "line 1, column 12: </Response> closes nothing"},
		"byte order mark":              {"\uFEFF<Response/>", ""},
		"byte order mark in the midst": {"<Response/>\uFEFF", "line 1, column 12: text may not stand outside the root element"},
		"error behind a byte order mark": {"\uFEFF<Response><X/></Response>",
			"line 1, column 11, <X>: unknown verb X"},
		"invalid UTF-8":            {"<Response>\n <Tag>ä\xff</Tag></Response>", "line 2, column 8: the document is not valid UTF-8"},
		"overlong UTF-8":           {"<Response><Tag>\xc0\xbc</Tag></Response>", "line 1, column 16: the document is not valid UTF-8"},
		"surrogate in UTF-8":       {"<Response><Tag>\xed\xa0\x80</Tag></Response>", "line 1, column 16: the document is not valid UTF-8"},
		"replacement character":    {"<Response><Tag>\uFFFD</Tag></Response>", ""},
		"NUL":                      {"<Response>\x00</Response>", "line 1, column 11: the character U+0000 may not stand in XML"},
		"control character":        {"<Response>\n<Tag>\x1b[0m</Tag></Response>", "line 2, column 6: the character U+001B may not stand in XML"},
		"noncharacter":             {"<Response>\uFFFE</Response>", "line 1, column 11: the character U+FFFE may not stand in XML"},
		"64 elements deep":         {nested(64), ""},
		"65 elements deep":         {nested(65), "line 1, column 212, <p>: elements are nested more than 64 deep"},
		"CR LF":                    {"<Response>\r\n\r\n  <X/>\r\n</Response>", "line 3, column 3, <X>: unknown verb X"},
		"CR":                       {"<Response>\r\r  <X/>\r</Response>", "line 3, column 3, <X>: unknown verb X"},
		"two hyphens in a comment": {"<Response><!-- a -- b --></Response>", "line 1, column 11, <Response>: a comment may not hold --"},
		"three hyphens at its end": {"<Response><!-- a ---></Response>", "line 1, column 11, <Response>: a comment may not hold --"},
		"comment not closed":       {"<Response><!-- a ></Response>", "line 1, column 11, <Response>: the comment is not closed: --> is missing"},
		"CDATA not closed":         {"<Response><![CDATA[ ></Response>", "line 1, column 11, <Response>: the CDATA section is not closed: ]]> is missing"},
		"instruction not closed":   {"<Response><?x ></Response>", "line 1, column 11, <Response>: the processing instruction is not closed: ?> is missing"},
		"instruction without name": {"<Response><? x?></Response>", "line 1, column 11, <Response>: the processing instruction has no name"},
		"declaration of an entity": {"<!ENTITY a 'b'><Response/>", "line 1, column 1: <! begins neither a comment nor a CDATA section"},
		"DOCTYPE in lower case":    {"<!doctype html><Response/>", "line 1, column 1: a document type declaration (DOCTYPE) is not allowed"},
		"DOCTYPE inside":           {"<Response><!DOCTYPE x></Response>", "line 1, column 11, <Response>: a document type declaration (DOCTYPE) is not allowed"},
		"HTML":                     {"<html><body><br></body></html>", "line 1, column 17, <br>: </body> does not close <br> of line 1"},
		"bare less-than":           {"<Response>1 < 2</Response>", "line 1, column 13, <Response>: a name must follow <; write &lt; for the character itself"},
		"tag not closed":           {"<Response><Hangup", "line 1, column 11, <Hangup>: the tag is not closed: > is missing"},
		"tag runs into another":    {"<Response><Hangup <Tag/></Response>", "line 1, column 11, <Hangup>: the tag is not closed: > is missing"},
		"end tag with attribute":   {"<Response></Response a='b'>", "line 1, column 11, <Response>: the tag is not closed: > is missing"},
		"slash in a tag":           {"<Response><Hangup / ></Response>", "line 1, column 19, <Hangup>: \"/\" may not stand in a tag"},
		"no space between attributes": {`<Response><Ring duration="1"answerCall="true"/></Response>`,
			"line 1, column 29, <Ring>: white space is missing before answerCall"},
		"name with two colons":     {"<Response><a:b:c/></Response>", "line 1, column 11, <a:b:c>: a:b:c is not a name (and 1 more error)"},
		"prefix declared as empty": {"<Response xmlns:a=''/>", `line 1, column 11, <Response>: the prefix a may not stand for ""`},
		"prefix xml":               {"<Response xml:lang='en' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", ""},
		"prefix of the parent":     {"<Response xmlns:a='urn:a'><Hangup a:b='c'/></Response>", ""},
		"prefix of a sibling":      {"<Response><Hangup xmlns:a='urn:a'/><Hangup a:b='c'/></Response>", "line 1, column 44, <Hangup>: the prefix a is not declared"},
		"declaration with a bad version": {`<?xml version="2.0"?><Response/>`,
			`line 1, column 1: the XML declaration is not understood; write <?xml version="1.0" encoding="UTF-8"?>`},
		"declaration out of order": {`<?xml version="1.0" standalone="yes" encoding="UTF-8"?><Response/>`,
			`line 1, column 1: the XML declaration is not understood; write <?xml version="1.0" encoding="UTF-8"?>`},
		"declaration without version": {`<?xml ?><Response/>`, "line 1, column 1: the XML declaration has no version"},
		"declaration not closed":      {`<?xml version="1.0"><Response/>`, "line 1, column 1: the XML declaration is not closed: ?> is missing"},
		"declaration in single quotes": {
			"<?xml  version = '1.1'  encoding = 'utf-8'  standalone = 'no' ?><Response/>", ""},
		"stylesheet first": {`<?xml-stylesheet href="x"?><Response/>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewParser(Config{}).Parse([]byte(tc.doc), "")
			if tc.want == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, tc.want)
			}
		})
	}
}

// nested is a document of n elements within one another.
func nested(n int) string {
	n -= 2 // Response and SpeakSentence
	return "<Response><SpeakSentence>" + strings.Repeat("<p>", n) + "x" + strings.Repeat("</p>", n) + "</SpeakSentence></Response>"
}

func utf16Text(text string, bigEndian bool) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune("\uFEFF" + text)) {
		if bigEndian {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	const doc = "<Response>\n<Tag>ä😀</Tag><X/></Response>"
	const found = "line 2, column 14, <X>: unknown verb X" // on the converted text
	latin := "<?xml version='1.0' encoding='ISO-8859-1'?><Response><Tag>\xe4</Tag><X/></Response>"
	for name, tc := range map[string]struct {
		doc  []byte
		want string
	}{
		"UTF-16LE":                      {utf16Text(doc, false), found},
		"UTF-16BE":                      {utf16Text(doc, true), found},
		"UTF-16, declared":              {utf16Text("<?xml version='1.0' encoding='utf-16'?>\n"+doc, true), strings.Replace(found, "2", "3", 1)},
		"UTF-16, declared as UTF-8":     {utf16Text("<?xml version='1.0' encoding='utf-8'?>\n"+doc, true), "line 1, column 1: the document is in UTF-16 but declares the encoding utf-8"},
		"UTF-16, half a character":      {utf16Text(doc, true)[:51], "line 2, column 13: the document is not valid UTF-16"},
		"UTF-16, unpaired surrogate":    {append(utf16Text("<a>", true), 0xD8, 0x3D, 0, 'x'), "line 1, column 4: the document is not valid UTF-16"},
		"UTF-16, half a pair":           {append(utf16Text("<a>", true), 0xD8, 0x3D), "line 1, column 4: the document is not valid UTF-16"},
		"UTF-16 declared, but is not":   {[]byte("<?xml version='1.0' encoding='UTF-16'?>" + doc), "line 1, column 1: the document declares UTF-16 but has no byte order mark of it"},
		"UTF-16 not marked":             {utf16Text(doc, false)[2:], "line 1, column 2: the character U+0000 may not stand in XML"},
		"ISO-8859-1":                    {[]byte(latin), "line 1, column 66, <X>: unknown verb X"},
		"ISO-8859-1 with a UTF-8 mark":  {[]byte("\uFEFF" + latin), "line 1, column 1: the document starts with a UTF-8 byte order mark but declares the encoding ISO-8859-1"},
		"windows-1252":                  {[]byte(strings.Replace(latin, "ISO-8859-1", "windows-1252", 1)), "line 1, column 68, <X>: unknown verb X"},
		"Shift_JIS, cut":                {[]byte("<?xml version='1.0' encoding='Shift_JIS'?><Response><Tag>\x82"), "line 1, column 58: the document is not valid Shift_JIS"},
		"US-ASCII with other bytes":     {[]byte(strings.Replace(latin, "ISO-8859-1", "US-ASCII", 1)), "line 1, column 57: the document is not valid US-ASCII"},
		"utf8 without a hyphen":         {[]byte("<?xml version='1.0' encoding='utf8'?>\n" + doc), strings.Replace(found, "2", "3", 1)},
		"not known":                     {[]byte("<?xml version='1.0' encoding='KOI-99'?>" + doc), "line 1, column 1: the encoding KOI-99 is not known; use UTF-8"},
		"UTF-8 declared, but is Latin1": {[]byte(strings.Replace(latin, "ISO-8859-1", "UTF-8", 1)), "line 1, column 54: the document is not valid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewParser(Config{}).Parse(tc.doc, "")
			assert.EqualError(t, err, tc.want)
		})
	}
	t.Run("the text arrives converted", func(t *testing.T) {
		t.Parallel()
		d, err := NewParser(Config{}).Parse([]byte(strings.Replace(latin, "<X/>", "", 1)), "")
		require.NoError(t, err)
		assert.Equal(t, "ä", d.Verbs[0].(*Tag).Value)
	})
}

// tokens writes what encoding/xml finds in a document; "" when it refuses it.
func tokens(text string) string {
	var out strings.Builder
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			return ""
		}
		switch x := token.(type) {
		case xml.StartElement:
			fmt.Fprintf(&out, "<%s", qualified(x.Name))
			for _, a := range x.Attr {
				fmt.Fprintf(&out, " %s=%q", qualified(a.Name), spaces.Replace(a.Value))
			}
			out.WriteString(">")
		case xml.EndElement:
			fmt.Fprintf(&out, "</%s>", qualified(x.Name))
		case xml.CharData:
			out.Write(x)
		}
	}
}

// spaces undoes a difference: white space in attributes becomes spaces with us only.
var spaces = strings.NewReplacer("\n", " ", "\t", " ", "\r", " ")

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// write writes an element as tokens does.
func write(out *strings.Builder, e *element) {
	fmt.Fprintf(out, "<%s", e.name)
	for _, a := range e.attributes {
		fmt.Fprintf(out, " %s=%q", a.name, spaces.Replace(a.value))
	}
	out.WriteString(">")
	for _, c := range e.content {
		if c.child != nil {
			write(out, c.child)
		} else {
			out.WriteString(c.text)
		}
	}
	fmt.Fprintf(out, "</%s>", e.name)
}

// FuzzXML holds our reader against the standard library's: what we take, that takes too, and finds the same in it.
func FuzzXML(f *testing.F) {
	f.Add("<?xml version='1.0'?><Response a='b&amp;c' x:y=\"&#65;\" xmlns:x='u'>\r\nt <!-- c --><b/><![CDATA[<]]></Response>")
	f.Add("<a>&lt;&#x1F600;</a><!-- x -->")
	f.Fuzz(func(t *testing.T, body string) {
		text, fault := decode([]byte(body))
		if fault != nil || text == "" {
			return
		}
		root, found := readXML(text)
		if root == nil || len(found.errors) > 0 {
			return
		}
		for _, r := range text {
			if r >= 0x80 {
				return // the standard library has the names of an older edition
			}
		}
		var ours strings.Builder
		write(&ours, root)
		require.Equal(t, ours.String(), strings.Trim(tokens(text), xmlSpace))
	})
}
