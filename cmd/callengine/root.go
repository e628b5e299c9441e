package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/callengine/callengine/node"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine   = 0
	exitFailed = 1 // a check or scenario failed, or what was asked for could not be done
	exitUsage  = 2 // wrong usage or configuration
)

// program is one run of the command, with its surroundings.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	signals  func() <-chan os.Signal // takes over the signals that end a program
}

// failure is an error that is not the user's: everything else is taken for wrong usage or configuration.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// errReported is for a command that has said what is wrong.
var errReported = failure{errors.New("failed")}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// run returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var f failure
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errReported.error):
		return exitFailed
	case errors.As(err, &f):
		p.complain(err)
		return exitFailed
	}
	p.complain(err)
	return exitUsage
}

// complain prints an error; one that is made of several, as of a configuration, has a line for each.
func (p *program) complain(err error) {
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	for _, e := range all {
		fmt.Fprintf(p.err, "callengine: %s\n", strings.TrimSpace(e.Error()))
	}
}

// arguments checks how many there are; what tells of those that are missing.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s is missing", what)
		case len(args) > most:
			return fmt.Errorf("unexpected argument %q", args[most])
		}
		return nil
	}
}

func noArguments() cobra.PositionalArgs { return arguments(0, 0, "") }

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "callengine",
		Short:         "A self-hosted call-processing node for SIP and BXML",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(p.err)
			_ = cmd.Help() // prints only
			return errors.New("a command is missing")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.replayCommand(), p.checkCommand(), p.callCommand(), p.callsCommand(),
		p.exportCommand(), p.outboxCommand(), p.configCommand(), p.versionCommand(),
	)
	return root
}

// settings are the flags with which a command is told its configuration.
type settings struct {
	file string
	set  []string
	app  string
}

func (s *settings) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "configuration `FILE` (YAML)")
	cmd.Flags().StringArrayVar(&s.set, "set", nil, "set one key of the configuration, as `KEY=VALUE`; may be repeated")
}

func (p *program) load(s settings) (node.Config, []string, error) {
	return node.LoadConfig(p.source(s))
}

func (p *program) source(s settings) node.ConfigSource {
	return node.ConfigSource{File: s.file, Env: p.env, Set: s.set, App: s.app}
}
