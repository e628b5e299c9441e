// Package webhook talks HTTP to the application: it builds the events of a call, asks for BXML with the synchronous
// ones, and delivers the asynchronous ones until they have arrived.
//
// The package knows nothing of SIP, of BXML, or of where events are kept: what it needs of a store is [Ledger].
package webhook
