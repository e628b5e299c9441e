package transcribe

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// readHypothesis reads what pocketsphinx_continuous prints with "-time yes": a line with the text of each stretch in which
// it heard speech, and one line for each of its words, fillers included, with its beginning and end in seconds and its
// probability. The text is that of the words, since those have no fillers and none of the marks of pronunciation.
func readHypothesis(out []byte) (Result, error) {
	var r Result
	var words []string
	sum := 0.0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			continue // the text
		}
		numbers, ok := parseNumbers(fields[1:])
		if !ok {
			continue // a text of four words
		}
		word := spoken(fields[0])
		if word == "" {
			continue
		}
		start, end, probability := numbers[0], numbers[1], min(max(numbers[2], 0), 1) // rounding takes it beyond 1
		if start < 0 || end < start || end > maxSeconds {
			return Result{}, fmt.Errorf("the word %q is said to last from %v to %v", word, start, end)
		}
		words = append(words, word)
		r.Items = append(r.Items, Item{
			Content: word, Start: seconds(start), End: seconds(end), Confidence: probability, Stable: true,
		})
		sum += probability
	}
	if len(words) > 0 {
		r.Text, r.Confidence = strings.Join(words, " "), sum/float64(len(words))
	}
	return r, nil
}

// maxSeconds is how long any sound may be.
const maxSeconds = 24 * 3600

func parseNumbers(fields []string) (numbers [3]float64, ok bool) {
	for i, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return numbers, false
		}
		numbers[i] = v
	}
	return numbers, true
}

// spoken returns the word that an entry of the dictionary stands for: "the(2)" is a way to say "the". A filler such as <sil>,
// [NOISE], ++COUGH++ or (NULL) is none.
func spoken(entry string) string {
	if strings.ContainsRune("<[+(", rune(entry[0])) {
		return ""
	}
	word, _, _ := strings.Cut(entry, "(")
	return word
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s*1000)) * time.Millisecond }
