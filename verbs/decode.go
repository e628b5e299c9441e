package verbs

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"
)

const utf8BOM = "\xEF\xBB\xBF"

// declaredEncoding finds the encoding in an XML declaration. All encodings but UTF-16 that a declaration can be read
// in agree with ASCII about its characters.
var declaredEncoding = regexp.MustCompile(`^<\?xml[ \t\r\n][^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z][A-Za-z0-9._-]*)["']`)

// decode returns a document as UTF-8 without a byte order mark and with line feeds as its only line ends (XML 1.0
// section 2.11). A byte order mark and a declaration that contradict each other are refused, as XML 1.0 section 4.3.3
// wants it.
func decode(body []byte) (string, *SyntaxError) {
	text, err := convert(body)
	if err != nil {
		return "", err
	}
	for off, r := range text {
		if r == utf8.RuneError && strings.HasPrefix(text[off:], "\uFFFD") {
			continue
		}
		if r == utf8.RuneError {
			return "", errorAfter(text[:off], "the document is not valid UTF-8")
		}
		if !isChar(r) {
			return "", errorAfter(text[:off], "the character U+%04X may not stand in XML", r)
		}
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), nil
}

// convert returns a document as UTF-8, which is not checked if that is what it was.
func convert(body []byte) (string, *SyntaxError) {
	switch {
	case bytes.HasPrefix(body, []byte{0xFF, 0xFE}):
		return fromUTF16(body[2:], binary.LittleEndian)
	case bytes.HasPrefix(body, []byte{0xFE, 0xFF}):
		return fromUTF16(body[2:], binary.BigEndian)
	}
	text, marked := strings.CutPrefix(string(body), utf8BOM)
	name := declaredIn(text)
	switch {
	case name == "" || isUTF8(name):
		return text, nil
	case marked:
		return "", errorAfter("", "the document starts with a UTF-8 byte order mark but declares the encoding %s", shorten(name))
	case isUTF16(name):
		return "", errorAfter("", "the document declares %s but has no byte order mark of it", shorten(name))
	}
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil || enc == nil {
		return "", errorAfter("", "the encoding %s is not known; use UTF-8", shorten(name))
	}
	converted, err := enc.NewDecoder().String(text)
	if err != nil || strings.ContainsRune(converted, utf8.RuneError) {
		valid, _, _ := strings.Cut(converted, string(utf8.RuneError))
		return "", errorAfter(valid, "the document is not valid %s", shorten(name))
	}
	return converted, nil
}

func fromUTF16(body []byte, order binary.ByteOrder) (string, *SyntaxError) {
	var text strings.Builder
	for i := 0; i < len(body); i += 2 {
		if i+1 == len(body) {
			return "", errorAfter(text.String(), "the document is not valid UTF-16")
		}
		r := rune(order.Uint16(body[i:]))
		if utf16.IsSurrogate(r) {
			if i+4 > len(body) {
				return "", errorAfter(text.String(), "the document is not valid UTF-16")
			}
			r = utf16.DecodeRune(r, rune(order.Uint16(body[i+2:])))
			if r == utf8.RuneError {
				return "", errorAfter(text.String(), "the document is not valid UTF-16")
			}
			i += 2
		}
		text.WriteRune(r)
	}
	if name := declaredIn(text.String()); name != "" && !isUTF16(name) {
		return "", errorAfter("", "the document is in UTF-16 but declares the encoding %s", shorten(name))
	}
	return text.String(), nil
}

func declaredIn(text string) string {
	if m := declaredEncoding.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func isUTF8(name string) bool {
	return strings.EqualFold(name, "UTF-8") || strings.EqualFold(name, "utf8")
}

func isUTF16(name string) bool {
	switch strings.ToUpper(name) {
	case "UTF-16", "UTF-16LE", "UTF-16BE":
		return true
	}
	return false
}

// errorAfter is an error of the document behind the text before it.
func errorAfter(before, format string, args ...any) *SyntaxError {
	var f findings
	c := cursor{text: before, pos: Position{1, 1}}
	f.errorf(c.position(len(before)), "", format, args...)
	return f.errors[0]
}

// cursor counts lines and columns. Line ends are LF, CR LF and CR.
type cursor struct {
	text string
	off  int
	pos  Position
}

// position returns where the byte offset off is. Offsets that never decrease make it linear in all.
func (c *cursor) position(off int) Position {
	if off < c.off {
		c.off, c.pos = 0, Position{1, 1}
	}
	for c.off < off {
		r, size := utf8.DecodeRuneInString(c.text[c.off:])
		c.off += size
		if r == '\n' || r == '\r' && !strings.HasPrefix(c.text[c.off:], "\n") {
			c.pos = Position{c.pos.Line + 1, 1}
		} else if r != '\r' {
			c.pos.Column++
		}
	}
	return c.pos
}
