// Command callengine is a call-processing node for SIP and BXML: `callengine serve` runs one, and the other commands check
// documents and read from a node that runs.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/emiago/sipgo/sip"
)

func main() {
	// The library's own limit for UDP would drop what is larger than 1,300 bytes, in place of sending fragments: a global
	// of the process, set before anything starts. What is added to the largest payload is what the library leaves free.
	sip.UDPMTUSize = 65507 + 200
	// The library would keep the transaction of each INVITE that was answered for 32 s, to know repetitions of it by. The stack
	// knows them by less.
	sip.Timer_L = sip.T1
	// What the library writes past the logger that it is given is about its own bookkeeping.
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))

	if os.Getenv("GOGC") == "" {
		collectInTime()
	}

	p := program{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Environ(), signals: signals}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// signals takes over SIGTERM and SIGINT. There is room for two: the first drains, the second ends at once.
func signals() <-chan os.Signal {
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGTERM, os.Interrupt)
	return c
}
