package verbs

import (
	"cmp"
	"fmt"
	"slices"
)

// Position is a place in a document. Both count from 1, columns in characters (Unicode code points); in a document
// that was converted to UTF-8 they count on the converted text.
type Position struct {
	Line, Column int
}

// SyntaxError is one reason why a document is not valid BXML. The error of an element stands at its "<", an
// attribute's at its name, and that of text that may not be there at its first character.
type SyntaxError struct {
	Line, Column int
	Element      string // the element it is about; empty when it is about the document
	Reason       string
}

func (e *SyntaxError) Error() string {
	if e.Element == "" {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
	}
	return fmt.Sprintf("line %d, column %d, <%s>: %s", e.Line, e.Column, e.Element, e.Reason)
}

// SyntaxErrors are all the reasons why a document is not valid BXML, in document order and never empty. [errors.As]
// finds the first as a [*SyntaxError].
type SyntaxErrors []*SyntaxError

// Error returns the first error and how many more there are.
func (e SyntaxErrors) Error() string {
	switch n := len(e) - 1; n {
	case 0:
		return e[0].Error()
	case 1:
		return e[0].Error() + " (and 1 more error)"
	default:
		return fmt.Sprintf("%v (and %d more errors)", e[0], n)
	}
}

// Unwrap returns every error.
func (e SyntaxErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// Warning is something in a document that is ignored, or risky: the document is valid all the same.
type Warning struct {
	Line, Column int
	Element      string
	Reason       string
}

func (w Warning) String() string {
	return fmt.Sprintf("line %d, column %d, <%s>: %s", w.Line, w.Column, w.Element, w.Reason)
}

// findings collects what is wrong and what is worth a warning while a document is read.
type findings struct {
	errors   SyntaxErrors
	warnings []Warning
}

func (f *findings) errorf(at Position, element, format string, args ...any) {
	f.errors = append(f.errors, &SyntaxError{at.Line, at.Column, shorten(element), fmt.Sprintf(format, args...)})
}

func (f *findings) warnf(at Position, element, format string, args ...any) {
	f.warnings = append(f.warnings, Warning{at.Line, at.Column, shorten(element), fmt.Sprintf(format, args...)})
}

// sort puts both lists in document order: a tag's number of nested tags, for one, is known only after these were read.
func (f *findings) sort() {
	slices.SortStableFunc(f.errors, func(a, b *SyntaxError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	slices.SortStableFunc(f.warnings, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
