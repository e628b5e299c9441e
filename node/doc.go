// Package node puts a node together: it reads the configuration, joins the rooms that do not know each other with small
// adapters, starts what has to run in the right order, drains, and closes.
//
//	cfg, warnings, err := node.LoadConfig(node.ConfigSource{File: "callengine.yaml", Env: os.Environ()})
//	n, err := node.New(cfg, node.WithLogger(log))
//	err = n.Start(ctx)
//	n.Drain(ctx) // live calls go on for a while
//	err = n.Close()
//
// What is nobody else's is here, too: whether there is room for a new call (gate.go, gauges.go), the metrics, and what is
// sent to collectors of SIP messages (hep.go) and of traces (tracing.go).
package node
