// Package api is the node's HTTP surface: health, metrics, and the calls, each with its record and its journal.
//
// It reads and never changes anything. What it tells is masked: no password, user information or credential of a call
// leaves through it.
package api
