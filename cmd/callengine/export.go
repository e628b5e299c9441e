package main

import (
	"github.com/callengine/callengine/scenario"
	"github.com/spf13/cobra"
)

func (p *program) exportCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Print one call of a running node as a scenario that replay runs",
		Long: `Print a scenario in which the phone and the application do what they did in a call of a running node, and which expects
what came of it. Passwords are masked in it, and what a call's journal does not hold, such as the sound, is missing.`,
		Args: arguments(1, 1, "the ID of a call"),
		RunE: func(cmd *cobra.Command, args []string) error {
			journal, err := p.journal(cmd.Context(), f, args[0])
			if err != nil {
				return err
			}
			text, err := scenario.Export(journal)
			if err == nil {
				_, err = p.out.Write(text)
			}
			return failed(err)
		},
	}
	f.flags(cmd)
	return cmd
}
