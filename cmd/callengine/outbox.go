package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) outboxCommand() *cobra.Command {
	var f apiFlags
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "List the events of a running node that are not delivered, the oldest first",
		Long: `List the asynchronous events of a running node that are not delivered, the oldest first: those that are owed, and are
tried again, and those that are dead, because they were given up.`,
		Args: noArguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client(f)
			if err != nil {
				return err
			}
			var events []outboxEvent
			_, err = c.get(cmd.Context(), c.outbox(), func(r io.Reader) error { return json.NewDecoder(r).Decode(&events) })
			if err != nil {
				return failed(err)
			}
			table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "OWED\tEVENT\tTYPE\tCALL\tSTATE\tATTEMPTS\tLAST ERROR")
			for _, e := range events {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.OwedTime.Local().Format(time.DateTime),
					printable(e.EventID), printable(e.EventType), printable(e.CallID), e.state(), e.Attempts, printable(e.LastError))
			}
			return failed(table.Flush())
		},
	}
	f.flags(cmd)
	cmd.AddCommand(p.resendCommand())
	return cmd
}

func (p *program) resendCommand() *cobra.Command {
	var f apiFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "resend ID | --all",
		Short: "Send an event again now: one that was given up, or one that waits",
		Long: `Send an event again now, under the same id and with the same body: one that was given up, or one that waits. With
--all, everything that was given up.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return errors.New("resend: give the id of one event, or --all")
			}
			c, err := p.client(f)
			if err != nil {
				return err
			}
			u := c.outbox("resend")
			if !all {
				u = c.outbox(args[0], "resend")
			}
			return failed(p.resend(cmd, c, u))
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all events that were given up")
	return cmd
}

func (p *program) resend(cmd *cobra.Command, c *client, u *url.URL) error {
	var done struct {
		Events int `json:"events"`
	}
	_, err := c.do(cmd.Context(), http.MethodPost, u, http.StatusAccepted, func(r io.Reader) error { return json.NewDecoder(r).Decode(&done) })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%d resent\n", done.Events)
	return err
}

// outboxEvent is an event of the outbox, as the API tells it.
type outboxEvent struct {
	EventID   string     `json:"eventId"`
	EventType string     `json:"eventType"`
	CallID    string     `json:"callId"`
	State     string     `json:"state"`
	OwedTime  time.Time  `json:"owedTime"`
	Attempts  int        `json:"attempts"`
	NextTime  *time.Time `json:"nextTime"`
	LastError string     `json:"lastError"`
}

// state is an event's state; of one that waits, until when.
func (e outboxEvent) state() string {
	if e.NextTime != nil {
		return printable(e.State) + " until " + e.NextTime.Local().Format(time.TimeOnly)
	}
	return printable(e.State)
}
