// Package cdr writes call detail records: a line of JSON for each call that is over, into files that begin anew with each
// day and at a size (docs/operating.md).
package cdr
