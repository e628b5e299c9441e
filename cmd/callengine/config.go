package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration as YAML, secrets masked",
		Long: `Print the configuration as serve would see it: defaults, the file, the environment and --set, each over the one
before. Passwords and the user information of URLs are masked.`,
		Args: noArguments(),
		RunE: func(*cobra.Command, []string) error {
			cfg, warnings, err := p.load(s)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintf(p.err, "callengine: warning: %s\n", w)
			}
			return failed(cfg.WriteYAML(p.out))
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.app, "app", "", "`URL` of the one application that gets every call, and its status events")
	return cmd
}
