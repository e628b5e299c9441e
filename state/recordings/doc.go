// Package recordings keeps the recordings of calls: their files, and what is known of each.
//
// The truth about a recording is its description, a JSON file beside its sound in the archive's folder: written when the
// recording begins, replaced (never changed in place) whenever something becomes of it, and gone when the recording is
// deleted. An archive reads them all when it is opened, and goes on with what was under way. A call's journal tells of its
// recordings, too, but nothing is read from there: journals may live in memory, and go long before the recordings do.
package recordings
