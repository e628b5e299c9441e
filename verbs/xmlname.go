package verbs

import "unicode/utf8"

// isChar reports whether XML 1.0 (section 2.2) allows a character in a document.
func isChar(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return true
	case r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000 && r <= 0x10FFFF:
		return true
	}
	return false
}

// isNameStart reports whether a name may begin with r (XML 1.0 section 2.3).
func isNameStart(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == ':':
		return true
	case r < 0xC0:
		return false
	case r == 0xD7, r == 0xF7, r == 0x37E:
		return false
	case r <= 0x2FF, r >= 0x370 && r <= 0x1FFF, r == 0x200C, r == 0x200D, r >= 0x2070 && r <= 0x218F:
		return true
	case r >= 0x2C00 && r <= 0x2FEF, r >= 0x3001 && r <= 0xD7FF, r >= 0xF900 && r <= 0xFDCF:
		return true
	case r >= 0xFDF0 && r <= 0xFFFD, r >= 0x10000 && r <= 0xEFFFF:
		return true
	}
	return false
}

func isNameChar(r rune) bool {
	switch {
	case isNameStart(r), r >= '0' && r <= '9', r == '-', r == '.', r == 0xB7:
		return true
	case r >= 0x300 && r <= 0x36F, r == 0x203F, r == 0x2040:
		return true
	}
	return false
}

// nameAt returns the name that text begins with; "" when there is none.
func nameAt(text string) string {
	for off, r := range text {
		if r == utf8.RuneError || off == 0 && !isNameStart(r) || !isNameChar(r) {
			return text[:off]
		}
	}
	return text
}

const xmlSpace = " \t\r\n"

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }
