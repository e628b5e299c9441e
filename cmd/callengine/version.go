package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/callengine/callengine/node"
	"github.com/spf13/cobra"
)

// version and commit are set by the linker (see the Makefile); a program that was built otherwise knows what the Go
// toolchain has noted.
var version, commit string

// build says which program this is.
func build() node.BuildInfo {
	b := node.BuildInfo{Version: version, Commit: commit, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && b.Commit == "" {
				b.Commit = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  noArguments(),
		RunE: func(*cobra.Command, []string) error {
			b := build()
			_, err := fmt.Fprintf(p.out, "callengine %s\ncommit %s\n%s\n", b.Version, b.Commit, b.Go)
			return failed(err)
		},
	}
}
