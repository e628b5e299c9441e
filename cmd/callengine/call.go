package main

import (
	"io"

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
			c, err := p.client(f)
			if err != nil {
				return err
			}
			var journal []state.Entry
			_, err = c.get(cmd.Context(), c.calls(args[0], "journal"), func(r io.Reader) (err error) {
				journal, err = state.ReadJournal(r)
				return err
			})
			if err != nil {
				return failed(err)
			}
			return failed(state.Ladder{Color: p.colored(p.out)}.Write(p.out, journal))
		},
	}
	f.flags(cmd)
	return cmd
}
