// Package recording writes the sound of a call to a file: WAV or MP3, one channel or two.
//
// A [Recording] is told of the sound by the goroutine that sends it ([Recording.Hear] fits media's Session.Listen) and never
// holds it up: the sound goes into pieces in memory, which a goroutine of the recording's own writes. The file can be
// played at any moment, so that a crash costs a second or two; [Repair] makes it exact.
package recording
