// Package scenario runs a call from end to end with everything around the node scripted: a [Phone] that says on the wire
// exactly what it is told to, an [Application] that answers webhooks as it is told to, and a [Network] for both, either
// the host's ([System]) or one in memory ([Memory]) whose clock a testing/synctest bubble can own.
//
// The phone is not built on the node's SIP stack. It writes and reads its messages as text on its own sockets, and has its
// own digest, SDP, RTP and G.711 code, so that a mistake on one side can't be cancelled out by the same one on the other.
//
// A [File] is a scenario as users write it: [Load] reads it, [File.Run] plays it on a node of its own and compares what
// happened with what it expects, and [Export] makes one of a call's journal.
//
// Everything that can go wrong is returned as an error by the core types. [Script], and what it makes, are the same with a
// [TB] to report to, so that a test reads like the ladder that it expects.
package scenario
