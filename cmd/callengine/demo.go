package main

import (
	"errors"

	"github.com/callengine/callengine/scenario"
	"github.com/spf13/cobra"
)

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Place real calls on nodes of its own and show what happened",
		Long: `Run four scenarios, each on a node of its own on free ports, with a scripted SIP phone and a scripted application: a Refer
that succeeds, one that is rejected, one whose target cannot be reached, and one whose outcome is never told.
Print each call's ladder, then a line per call. Exit status 1 when one went otherwise than it should.`,
		Args: noArguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := scenario.Demo(cmd.Context(), p.out, scenario.DemoOptions{Color: p.colored(p.out)})
			if errors.Is(err, scenario.ErrDemo) {
				return errReported // it has said which
			}
			return failed(err)
		},
	}
}
