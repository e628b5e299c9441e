// Package bench holds benchmarks of whole nodes: a `callengine serve` of its own process on one core; sipp, a phone and a
// web application on another. `make bench` runs them and prints their figures as a table.
//
// Beside the node stands a bare sipgo server that exchanges the same SIP messages and does nothing else: the floor, which
// is measured in the same run, because the machine's own speed differs from one run to the next.
package bench
