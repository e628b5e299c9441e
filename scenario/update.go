package scenario

import (
	"errors"
	"fmt"
)

// Reasons why a scenario cannot be made to expect what happened.
var (
	errNotPlayed = errors.New("the call was not played to its end")
	errNoWay     = errors.New("what it expects cannot be replaced by what happened; change it by hand")
)

// Update returns the text of the scenario's file with expectations that hold for what happened; nil: those that it has do.
// Values that are different are replaced where they stand. Where something did not come, or came that must not, the item
// goes or the list that it stands in is made anew. A scenario that expects nothing gets expectations. Everything else stays
// as it is, comments included.
//
// A call that could not be played to its end is an error: what happened then is not what is meant.
func (r Result) Update() ([]byte, error) {
	switch {
	case r.Err != nil:
		return nil, r.Err
	case r.run.broken:
		return nil, errNotPlayed
	case r.OK() && r.File.Expects():
		return nil, nil
	}
	text := r.File.text
	for range maxUpdates {
		f := &File{Path: r.File.Path, root: r.File.root}
		if err := f.parse(text); err != nil {
			return nil, fmt.Errorf("%w (%w)", errNoWay, err)
		}
		again := r.run.judgedBy(f)
		if len(again.failures) == 0 && f.Expects() {
			return text, nil
		}
		document, err := onlyDocument(text)
		if err != nil {
			return nil, err
		}
		u := &edit{run: again, text: text, root: document}
		by := regenerating("")
		if len(again.failures) > 0 {
			by = again.failures[0].fix
		}
		if by == nil || !by(u) || string(u.text) == string(text) {
			return nil, errNoWay
		}
		text = u.text
	}
	return nil, errNoWay
}

// maxUpdates bounds the single changes of an update.
const maxUpdates = 1000

// Expects reports whether the scenario expects anything of the call. Steps of the phone that go wrong fail it in any case.
func (f *File) Expects() bool {
	x := &f.spec.Expect
	return len(x.Order)+len(x.Anywhere)+len(x.Never)+len(x.Heard)+len(x.Sockets)+len(x.Called) > 0 || x.Verbs != nil || x.Webhooks != nil || x.Record != nil
}

// judgedBy compares what happened with what another version of the file expects.
func (r *run) judgedBy(f *File) *run {
	again := &run{
		file: f, spec: &f.spec, options: r.options, app: r.app, destinations: r.destinations, addresses: r.addresses,
		began: r.began, journal: r.journal, record: r.record, sound: r.sound,
	}
	again.judge()
	return again
}
