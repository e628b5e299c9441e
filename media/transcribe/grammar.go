package transcribe

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"go.uber.org/zap"
)

// grammarFile is a file that tells pocketsphinx what to listen for. The zero value is none.
type grammarFile struct{ path string }

func (g grammarFile) remove() {
	if g.path != "" {
		_ = os.Remove(g.path) // in the folder of temporary files
	}
}

// grammar writes the grammar of the hints. Hints with a word that the dictionary lacks are left out; where none is left,
// there is no grammar, and the program listens for anything.
func (p *pocketsphinx) grammar(o Options) (g grammarFile, err error) {
	phrases := phrasesOf(o.Hints)
	if len(phrases) == 0 {
		return g, nil
	}
	known, err := p.known(phrases)
	if err != nil {
		return g, err
	}
	phrases = slices.DeleteFunc(phrases, func(phrase []string) bool {
		unknown := slices.IndexFunc(phrase, func(word string) bool { return !known[word] })
		if unknown >= 0 {
			p.log.Warn("pocketsphinx does not know a word of a hint", zap.String("call_id", o.CallID), zap.String("word", phrase[unknown]))
		}
		return unknown >= 0
	})
	if len(phrases) == 0 {
		return g, nil
	}
	f, err := os.CreateTemp("", "callengine-*.jsgf")
	if err != nil {
		return g, err
	}
	g.path = f.Name()
	_, err = f.WriteString(jsgf(phrases))
	if err = errors.Join(err, f.Close()); err != nil {
		g.remove()
	}
	return g, err
}

// Limits of hints: a grammar is built anew for each utterance.
const (
	maxHints     = 500
	maxHintWords = 20
)

// phrasesOf returns hints as words in small letters, letters, digits, apostrophes, hyphens and points being all that the
// dictionary has.
func phrasesOf(hints []string) (phrases [][]string) {
	for _, hint := range hints[:min(len(hints), maxHints)] {
		words := strings.FieldsFunc(strings.ToLower(hint), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("'-.", r)
		})
		if len(words) > 0 && len(words) <= maxHintWords {
			phrases = append(phrases, words)
		}
	}
	return phrases
}

// known returns which of the words are in the dictionary.
func (p *pocketsphinx) known(phrases [][]string) (map[string]bool, error) {
	known := map[string]bool{}
	for _, phrase := range phrases {
		for _, word := range phrase {
			known[word] = false
		}
	}
	f, err := os.Open(filepath.Join(p.model, "cmudict-en-us.dict"))
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was read only
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		word, _, _ := strings.Cut(lines.Text(), " ")
		if _, wanted := known[word]; wanted {
			known[word] = true
		}
	}
	return known, lines.Err()
}

// jsgf is the grammar of one or more of the phrases in a row (JSpeech Grammar Format 1.0).
func jsgf(phrases [][]string) string {
	var b strings.Builder
	b.WriteString("#JSGF V1.0;\ngrammar hints;\npublic <hints> = (\n")
	for i, phrase := range phrases {
		if i > 0 {
			b.WriteString("|\n")
		}
		b.WriteString(strings.Join(phrase, " ") + "\n")
	}
	b.WriteString(")+;\n")
	return b.String()
}
