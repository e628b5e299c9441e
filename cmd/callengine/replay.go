package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/spf13/cobra"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	app, run, junit string
	verbose, update bool
	parallel        int
}

func (p *program) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay PATH...",
		Short: "Run scenario files: calls with everything around them scripted",
		Long: `Run scenario files, or all of a folder (*.yaml), each on a node of its own on free ports of 127.0.0.1, and report like
a test runner: a line for each; of one that went otherwise than it expects, the first difference and the call's ladder with
the difference marked. With --app the webhooks go to a real application, in place of the replies in the files.
With --update what a scenario expects is changed, in its file, to what happened.
Exit status 0 when all went as expected, 1 when one did not, 2 when a file is wrong.`,
		Args: arguments(1, math.MaxInt, "a PATH"),
		RunE: func(cmd *cobra.Command, paths []string) error { return p.replay(cmd, f, paths) },
	}
	cmd.Flags().StringVar(&f.app, "app", "", "`URL` of the application that all webhooks go to")
	cmd.Flags().StringVar(&f.run, "run", "", "run only the scenarios whose name or path matches the `REGEX`")
	cmd.Flags().StringVar(&f.junit, "junit", "", "write a report in JUnit's XML to the `FILE`")
	cmd.Flags().BoolVar(&f.update, "update", false, "have the files expect what happened, and name those that were changed")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "draw the ladder of every scenario")
	cmd.Flags().IntVar(&f.parallel, "parallel", 4*runtime.GOMAXPROCS(0), "run so `MANY` at a time")
	return cmd
}

func (p *program) replay(cmd *cobra.Command, f replayFlags, paths []string) error {
	files, err := p.scenarios(f, paths)
	if err != nil {
		return err
	}
	report := replayReport{program: p, flags: f, began: time.Now()}
	var junit *os.File
	if f.junit != "" {
		if junit, err = os.Create(f.junit); err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
	}
	report.begin(len(files))
	scenario.RunAll(cmd.Context(), files, f.parallel, scenario.RunOptions{App: f.app}, report.tell)
	report.close()
	if junit != nil {
		err = errors.Join(writeJUnit(junit, report.results, time.Since(report.began)), junit.Close())
	}
	switch {
	case err != nil:
		return failed(fmt.Errorf("--junit: %w", err))
	case report.failed > 0:
		return errReported
	}
	return nil
}

// scenarios reads those that are to run. All that is wrong with any of them is told.
func (p *program) scenarios(f replayFlags, paths []string) ([]*scenario.File, error) {
	wanted, err := regexp.Compile(f.run)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	if f.app != "" && !strings.HasPrefix(f.app, "http://") && !strings.HasPrefix(f.app, "https://") {
		return nil, errors.New("--app: must be an absolute http:// or https:// URL")
	}
	found, err := scenario.Find(paths...)
	if err != nil {
		return nil, err
	}
	var files []*scenario.File
	var wrong []error
	for _, path := range found {
		file, err := scenario.Load(path)
		var reasons scenario.FileErrors
		switch {
		case errors.As(err, &reasons):
			wrong = append(wrong, reasons.Unwrap()...)
		case wanted.MatchString(file.Name()) || wanted.MatchString(path):
			files = append(files, file)
		}
	}
	if len(wrong) == 0 && len(files) == 0 {
		wrong = append(wrong, fmt.Errorf("--run: none of %d scenarios matches %q", len(found), f.run))
	}
	return files, errors.Join(wrong...)
}

// replayReport tells of scenarios as they end.
type replayReport struct {
	program *program
	flags   replayFlags
	began   time.Time
	all     int
	results []scenario.Result
	failed  int
	updated int
}

// begin says on a terminal how many are still to come, in a line that the next one overwrites.
func (r *replayReport) begin(all int) {
	r.all = all
	r.progress()
}

func (r *replayReport) progress() {
	if r.program.colored(r.program.out) && len(r.results) < r.all {
		fmt.Fprintf(r.program.out, "      %d of %d\r", len(r.results), r.all)
	}
}

func (r *replayReport) tell(result scenario.Result) {
	out := r.program.out
	r.results = append(r.results, result)
	took := result.Duration.Round(10 * time.Millisecond).Seconds()
	updated, refusal := r.update(result)
	switch {
	case updated:
		r.updated++
		fmt.Fprintf(out, "new   %s (%.2fs): the file was updated\n", title(result.File), took)
	case result.OK() && refusal == nil:
		nothing := ""
		if !result.File.Expects() {
			nothing = ", which expects nothing"
		}
		fmt.Fprintf(out, "ok    %s%s (%.2fs)\n", title(result.File), nothing, took)
	default:
		r.failed++
		fmt.Fprintf(out, "FAIL  %s (%.2fs)\n", title(result.File), took)
		if !result.OK() {
			fmt.Fprintf(out, "      %s\n", strings.ReplaceAll(result.First(), "\n", "\n      "))
		}
		for _, further := range result.Failures[min(1, len(result.Failures)):] {
			fmt.Fprintf(out, "      %s\n", result.Place(further))
		}
		if refusal != nil {
			fmt.Fprintf(out, "      the file was not updated: %v\n", refusal)
		}
	}
	if len(result.Journal()) > 0 && (!result.OK() && !updated || r.flags.verbose) {
		fmt.Fprintln(out)
		_ = result.WriteLadder(out, state.Ladder{Color: r.program.colored(out)}) // as with every line that is printed
		fmt.Fprintln(out)
	}
	r.progress()
}

// errOthersReplies is for a scenario that another application has answered than it says itself.
var errOthersReplies = errors.New("it has replies of its own, and --app asked another application")

// update has the scenario's file expect what happened, where that is asked for. The error says why it was not written.
func (r *replayReport) update(result scenario.Result) (bool, error) {
	if !r.flags.update {
		return false, nil
	}
	if r.flags.app != "" && result.File.Replies() {
		if result.OK() {
			return false, nil
		}
		return false, errOthersReplies
	}
	text, err := result.Update()
	if err != nil || text == nil {
		return false, err
	}
	info, err := os.Stat(result.File.Path)
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(result.File.Path, text, info.Mode().Perm()); err != nil {
		return false, err
	}
	return true, nil
}

func (r *replayReport) close() {
	count := fmt.Sprintf("%d ok", len(r.results)-r.failed-r.updated)
	if r.updated > 0 {
		count += fmt.Sprintf(", %d updated", r.updated)
	}
	if r.failed > 0 {
		count += fmt.Sprintf(", %d FAILED", r.failed)
	}
	fmt.Fprintf(r.program.out, "%s (%.2fs)\n", count, time.Since(r.began).Round(10*time.Millisecond).Seconds())
}

// title names a scenario by its file and its name.
func title(f *scenario.File) string {
	if f.Name() == f.Path {
		return f.Path
	}
	return f.Path + ": " + f.Name()
}
