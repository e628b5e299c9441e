package media

import (
	"context"
	"os/exec"
	"strings"
)

// command speaks with any program that reads text on its standard input and writes a WAV file on its standard output.
// In its arguments {voice} stands for the engine's name of the voice, {locale} and {gender} for the voice's. It gets the
// plain text: what programs make of SSML differs too much.
type command struct{ argv []string }

func (c *command) Synthesize(ctx context.Context, u Utterance) (Source, error) {
	if what := c.missing(); what != "" {
		return nil, &MissingError{What: what}
	}
	fill := strings.NewReplacer("{voice}", u.Speaker, "{locale}", u.Locale, "{gender}", u.Gender)
	argv := []string{c.argv[0]}
	for _, a := range c.argv[1:] {
		argv = append(argv, fill.Replace(a))
	}
	return startProcess(ctx, c.argv[0], argv, u.Text)
}

func (c *command) missing() string {
	if _, err := exec.LookPath(c.argv[0]); err != nil {
		return "the speech command " + c.argv[0] + " is not installed"
	}
	return ""
}
