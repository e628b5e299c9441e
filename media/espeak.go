package media

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// espeakProgram is the program that speaks.
const espeakProgram = "espeak-ng"

const espeakMissing = "espeak-ng is not installed: apt-get install espeak-ng"

// espeak speaks with espeak-ng, one process per text.
type espeak struct{ log *zap.Logger }

func (e *espeak) Synthesize(ctx context.Context, u Utterance) (Source, error) {
	program, err := exec.LookPath(espeakProgram)
	if err != nil {
		return nil, &MissingError{What: espeakMissing}
	}
	argv, text := []string{program, "--stdout", "--stdin", "-v", u.Speaker}, u.Text
	if u.SSML != "" {
		markup, lacking := espeakSSML(u.SSML)
		if len(lacking) > 0 {
			e.log.Warn("espeak-ng lacks SSML tags; the text inside them is spoken plainly",
				zap.String("call_id", u.CallID), zap.Strings("tags", lacking))
		}
		argv, text = append(argv, "-m"), markup
	}
	text = strings.ReplaceAll(text, "[[", "[ [") // two brackets would begin phoneme codes
	return startProcess(ctx, espeakProgram, argv, text)
}

// missing returns what to install; empty: nothing is missing.
func (e *espeak) missing() string {
	if _, err := exec.LookPath(espeakProgram); err != nil {
		return espeakMissing
	}
	return ""
}

var (
	espeakLang   = regexp.MustCompile(`<lang xml:lang="([^"]*)"`)
	espeakVolume = regexp.MustCompile(`(<prosody [^>]*volume=")([+-][0-9.]+)dB"`)
)

// espeakLanguages are those whose name espeak-ng does not derive from the one in SSML.
var espeakLanguages = map[string]string{"arb": "ar"}

// espeakLacking are the tags that espeak-ng 1.51 reads over, with what marks them.
var espeakLacking = []struct{ tag, mark string }{
	{"phoneme", "<phoneme "},
	{"say-as date", `interpret-as="date"`},
	{"say-as ordinal", `interpret-as="ordinal"`},
}

// espeakSSML turns SSML into what espeak-ng 1.51 understands of it, and names the tags that it has no word for. It does
// break, p, s, emphasis, sub, the words and percentages of prosody and most of say-as as they stand; a language is a
// voice to it; a volume in decibels it takes for a percentage.
func espeakSSML(ssml string) (markup string, lacking []string) {
	for _, l := range espeakLacking {
		if strings.Contains(ssml, l.mark) {
			lacking = append(lacking, l.tag)
		}
	}
	ssml = espeakLang.ReplaceAllStringFunc(ssml, func(tag string) string {
		lang := espeakLang.FindStringSubmatch(tag)[1]
		if own, ok := espeakLanguages[lang]; ok {
			lang = own
		}
		return `<voice xml:lang="` + lang + `"`
	})
	ssml = strings.ReplaceAll(ssml, "</lang>", "</voice>")
	return espeakVolume.ReplaceAllStringFunc(ssml, func(tag string) string {
		m := espeakVolume.FindStringSubmatch(tag)
		decibels, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return tag
		}
		return fmt.Sprintf(`%s%+.0f%%"`, m[1], min(100*(math.Pow(10, decibels/20)-1), 400))
	}), lacking
}
