// Package cluster keeps the journals of several nodes in one NATS cluster, so that any of them can read what another wrote,
// and take over the calls of one that is gone.
//
// Each node writes a partition of its own: a [state.Durable] with names of its own in NATS. Who writes a partition is told
// by a lease, a key that has to be renewed; nobody else writes there. Where a lease has run out and its holder does not
// answer any more, another node takes the partition over, as a restarted process takes up its directory. A node that
// comes back asks for its partition, and begins another when calls of it are up elsewhere.
//
// What a node wants of a call that another one runs it asks for by a request: to change it, or where its dialog is.
// Journals it reads itself.
package cluster
