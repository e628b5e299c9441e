// Package transcribe turns the speech of calls and of recordings into text.
//
// A [Transcriber] is one provider of it: the program pocketsphinx, which works without any network, a service that is
// spoken to over a WebSocket, or none. It pulls the sound and tells results while it goes on, so that a call that is live
// ([Live]) and a recording are the same to it, and the sound never has to wait for the text.
//
// The package knows none of ours: it is a room for providers and what they share.
package transcribe
