// Package hep speaks HEP3, the protocol by which Homer and its kin take in copies of SIP messages and reports about sound
// (the Homer Encapsulation Protocol, version 3: github.com/sipcapture/hep). It stands alone: it knows no other package of
// this program.
//
// A [Packet] is one message with where it came from, where it went and when. An [Exporter] sends packets to a collector
// without ever making whoever has one wait.
package hep
