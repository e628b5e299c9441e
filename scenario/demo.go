package scenario

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// ErrDemo is returned by [Demo] when a call went otherwise than it should.
var ErrDemo = errors.New("a call of the demonstration went otherwise than it should")

// DemoOptions say how a demonstration is printed.
type DemoOptions struct {
	Color bool // with ANSI escape sequences
}

// demoCalls are the scenarios of the demonstration. Replay runs the same files.
//
//go:embed demo/*.yaml
var demoCalls embed.FS

// demoTime bounds the whole demonstration.
const demoTime = 28 * time.Second

// Demo shows what a node is for: it runs four scenarios, in each of which a phone is referred to another address, over real
// sockets of the loopback address and all at once. Then it prints each call's ladder and a line that says whether it went
// as it should.
//
// It returns [ErrDemo] when a call did not, and other errors when there was nothing to show.
func Demo(ctx context.Context, w io.Writer, o DemoOptions) error {
	return demonstrate(ctx, demoCalls, w, o)
}

func demonstrate(ctx context.Context, from fs.FS, w io.Writer, o DemoOptions) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	paths, err := fs.Glob(from, "demo/*.yaml")
	if err != nil {
		return err
	}
	var files []*File
	for _, path := range paths {
		f, err := LoadFS(from, path)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	fmt.Fprintf(w, "%d calls, each on a node of its own on free ports of 127.0.0.1, with a scripted phone and a scripted application.\n"+
		"All are placed at once; in each the caller is referred to another address, and each Refer ends in another way.\n"+
		"Speech is a tone here, and a node waits %v for the final NOTIFY, in place of 30s.\n\n", len(files), files[0].spec.Timers.Notify)
	var sum strings.Builder
	went := true
	n := 0
	RunAll(ctx, files, len(files), RunOptions{}, func(r Result) {
		n++
		fmt.Fprintf(w, "%d. %s\n\n", n, r.File.Name())
		err = errors.Join(err, r.WriteLadder(w, state.Ladder{Color: o.Color}))
		fmt.Fprintln(w)
		if r.OK() {
			fmt.Fprintf(&sum, "ok    %d. %s: %s\n", n, r.File.Name(), r.refers())
			return
		}
		went = false
		fmt.Fprintf(&sum, "FAIL  %d. %s: %s\n", n, r.File.Name(), strings.ReplaceAll(r.First(), "\n", "; "))
	})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, sum.String()); err != nil || went {
		return err
	}
	return ErrDemo
}

// refers says in a few words how the Refers of a call ended.
func (r Result) refers() string {
	var all []string
	for _, x := range r.run.record.Refers {
		s := fmt.Sprintf("%s, %s, REFER %d", x.Status, x.Evidence, x.ReferSIPResponseCode)
		if x.NotifySIPResponseCode != 0 {
			s += fmt.Sprintf(", NOTIFY %d", x.NotifySIPResponseCode)
		}
		if x.Billable {
			s += ", billable"
		} else {
			s += ", not billable"
		}
		if x.Status == state.ReferFailure && r.spokenAfterRefer() {
			s += "; the call lived on and the application spoke"
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}

// spokenAfterRefer reports whether something was played to the caller after a Refer had ended.
func (r Result) spokenAfterRefer() bool {
	over := false
	for _, e := range r.journal {
		if e.Verb != nil && e.Verb.Name == "Refer" && e.Verb.Event == state.VerbEnded {
			over = true
		}
		if over && e.Media != nil && e.Media.Event == "played" {
			return true
		}
	}
	return false
}
