package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func (p *program) serveCommand() *cobra.Command {
	var s settings
	var drain time.Duration
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the node until SIGTERM or SIGINT",
		Long: `Run the node until SIGTERM or SIGINT. The first signal drains: no new calls, live calls go on for drain_timeout,
then what is left is hung up. A second signal ends at once.

Without a configuration file the node takes calls on udp and tcp 127.0.0.1:5060, answers HTTP on 127.0.0.1:8088, and
runs a built-in example application.`,
		Args: noArguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("drain-timeout") {
				if drain < 0 {
					return errors.New("--drain-timeout: must not be negative")
				}
				s.set = append(s.set, "drain_timeout="+drain.String())
			}
			return p.serve(cmd.Context(), s)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.app, "app", "", "`URL` of the one application that gets every call, and its status events")
	cmd.Flags().DurationVar(&drain, "drain-timeout", 0, "how long live calls may go on after the first signal")
	return cmd
}

// serve returns when the node has ended.
func (p *program) serve(ctx context.Context, s settings) error {
	cfg, warnings, err := p.load(s)
	if err != nil {
		return err
	}
	signals := p.signals()
	syscall.Umask(0o077) // state holds secrets, and the store in the process makes files that a group may read
	log, end := newLogger(cfg.Log, p.err)
	defer end()
	for _, w := range warnings {
		log.Warn("configuration", zap.String("warning", w))
	}
	example := s.file == "" && len(cfg.Applications) == 0
	if example {
		app, err := node.StartExample(ctx)
		if err != nil {
			return failed(err)
		}
		defer func() { _ = app.Close() }() // after the node: its last events go there
		cfg.Applications = []node.Application{app.Application()}
	}
	n, err := node.New(cfg, node.WithLogger(log), node.WithBuildInfo(build()))
	if err != nil {
		return p.source(s).Locate(err)
	}
	if err := n.Start(ctx); err != nil {
		err = errors.Join(err, n.Close())
		if wrong := (*node.ConfigError)(nil); errors.As(err, &wrong) {
			return p.source(s).Locate(err)
		}
		return failed(err)
	}
	p.welcome(n, cfg.SIP, example)
	return failed(untilEnd(ctx, n, signals))
}

// welcome says on the console whom to call.
func (p *program) welcome(n *node.Node, sip node.SIPConfig, example bool) {
	scheme, at := callable(sip.Listen[0].Network, n.SIPAddrs()[0].String(), sip.Advertise)
	if example {
		fmt.Fprintf(p.out, "The built-in example application takes the calls, because no other is configured:\n")
		fmt.Fprintf(p.out, "  %s:hello@%s  says hello\n", scheme, at)
		fmt.Fprintf(p.out, "  %s:refer@%s  refers your phone to %s:hello, or to the URI in its header X-Refer-To\n", scheme, at, scheme)
	} else {
		fmt.Fprintf(p.out, "Call %s:ANYTHING@%s\n", scheme, at)
	}
	fmt.Fprintf(p.out, "HTTP is at http://%s. Ctrl-C ends it.\n", n.APIAddr())
}

// callable returns the scheme and the rest of URIs that lead to a listener: at the advertised address if there is one. A phone
// uses UDP unless it is told something else.
func callable(network, listens, advertised string) (scheme, at string) {
	scheme, at = "sip", listens
	if network == "tls" {
		scheme = "sips"
	}
	if _, _, err := net.SplitHostPort(advertised); err == nil {
		at = advertised
	} else if _, port, err := net.SplitHostPort(at); err == nil && advertised != "" {
		at = net.JoinHostPort(strings.Trim(advertised, "[]"), port)
	}
	if network == "tcp" {
		at += ";transport=tcp"
	}
	return scheme, at
}

// errSecondSignal ends a drain that is too slow for whoever waits for it.
var errSecondSignal = errors.New("ended at once by a second signal; calls and events may be lost")

// untilEnd drains at the first signal, or when the node has lost a listener, and returns at once at the next one.
func untilEnd(ctx context.Context, n *node.Node, signals <-chan os.Signal) error {
	var lost error
	select {
	case <-signals:
	case <-ctx.Done():
	case lost = <-n.Failed():
	}
	ctx, now := context.WithCancelCause(context.WithoutCancel(ctx))
	defer now(nil)
	ended := make(chan error, 1) // one: nobody waits after a second signal
	go func() {
		n.Drain(ctx)
		ended <- n.Close()
	}()
	select {
	case err := <-ended:
		return errors.Join(lost, err)
	case <-signals:
		now(errSecondSignal)
		return errors.Join(lost, errSecondSignal)
	}
}
