package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/callengine/callengine/verbs"
	"github.com/spf13/cobra"
)

func (p *program) checkCommand() *cobra.Command {
	var s settings
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [--strict] FILE...",
		Short: "Check BXML documents without a node",
		Long: `Check BXML documents. FILE may be - for standard input. For every error it prints

  FILE:LINE:COLUMN: MESSAGE

and for what is ignored, such as an attribute that does not exist, the same with "warning: " before the message.
Exit status 1 when there was an error, with --strict also when there was a warning.`,
		Args: arguments(1, math.MaxInt, "a FILE"),
		RunE: func(_ *cobra.Command, files []string) error {
			cfg, _, err := p.load(s)
			if err != nil {
				return err
			}
			return p.check(cfg.Parser(), files, strict)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "let warnings count as errors")
	return cmd
}

func (p *program) check(parser *verbs.Parser, files []string, strict bool) error {
	good := true
	var unreadable error
	for _, name := range files {
		body, err := p.read(name)
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		good = p.checkOne(parser, name, body, strict) && good
	}
	switch {
	case unreadable != nil:
		return unreadable
	case !good:
		return errReported
	}
	return nil
}

// read returns a document; of one that is far too large, only as much as shows that it is.
func (p *program) read(name string) ([]byte, error) {
	const enough = 1 << 20
	if name == "-" {
		return io.ReadAll(io.LimitReader(p.in, enough))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(f, enough))
	return body, errors.Join(err, f.Close())
}

func (p *program) checkOne(parser *verbs.Parser, name string, body []byte, strict bool) (good bool) {
	if name == "-" {
		name = "<stdin>"
	}
	doc, err := parser.Parse(body, "")
	var found verbs.SyntaxErrors
	errors.As(err, &found)
	for _, e := range found {
		fmt.Fprintf(p.out, "%s:%d:%d: %s%s\n", name, e.Line, e.Column, element(e.Element), e.Reason)
	}
	for _, w := range doc.Warnings {
		fmt.Fprintf(p.out, "%s:%d:%d: warning: %s%s\n", name, w.Line, w.Column, element(w.Element), w.Reason)
	}
	return err == nil && (!strict || len(doc.Warnings) == 0)
}

// element names what a message is about, if it is not the document.
func element(name string) string {
	if name == "" {
		return ""
	}
	return "<" + name + ">: "
}
