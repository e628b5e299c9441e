package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/callengine/callengine/state"
	"github.com/spf13/cobra"
)

func (p *program) callsCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "calls",
		Short: "List the calls of a running node, oldest first",
		Args:  noArguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client(f)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "START\tCALL\tFROM\tTO\tSTATE\tDURATION\tREFER")
			for page := c.calls(); page != nil; {
				var records []state.Record
				page, err = c.get(cmd.Context(), page, func(r io.Reader) error { return json.NewDecoder(r).Decode(&records) })
				if err != nil {
					return failed(err)
				}
				for _, r := range records {
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
						started(r), printable(r.CallID), printable(r.From), printable(r.To), printable(stateOf(r)), duration(r), refersOf(r))
				}
			}
			return failed(table.Flush())
		},
	}
	f.flags(cmd)
	return cmd
}

// printable keeps what a caller put into its address from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func started(r state.Record) string {
	if r.StartTime == nil {
		return "-"
	}
	return r.StartTime.Local().Format(time.DateTime)
}

// stateOf is a call's state; of one that is over, why it is.
func stateOf(r state.Record) string {
	if r.DisconnectCause != nil {
		return r.State + " (" + *r.DisconnectCause + ")"
	}
	return r.State
}

// duration is the time from the answer to the end.
func duration(r state.Record) string {
	if r.AnswerTime == nil || r.EndTime == nil {
		return "-"
	}
	return r.EndTime.Sub(*r.AnswerTime).Round(100 * time.Millisecond).String()
}

func refersOf(r state.Record) string {
	if len(r.Refers) == 0 {
		return "-"
	}
	last := r.Refers[len(r.Refers)-1]
	if last.Evidence == "" {
		return last.Status
	}
	return last.Status + " (" + last.Evidence + ")"
}
