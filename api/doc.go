// Package api is the node's HTTP surface: health, metrics, and the calls, each with its record and its journal.
//
// It reads, and hands requests to change a call to whoever runs it. What it tells is masked: no password, user information or credential of a call
// leaves through it.
package api
