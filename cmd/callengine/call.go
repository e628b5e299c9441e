package main

import (
	"github.com/callengine/callengine/state"
	"github.com/spf13/cobra"
)

func (p *program) callCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "call ID",
		Short: "Show one call of a running node as a ladder",
		Args:  arguments(1, 1, "the ID of a call"),
		RunE: func(cmd *cobra.Command, args []string) error {
			journal, err := p.journal(cmd.Context(), f, args[0])
			if err != nil {
				return err
			}
			return failed(state.Ladder{Color: p.colored(p.out)}.Write(p.out, journal))
		},
	}
	f.flags(cmd)
	return cmd
}
