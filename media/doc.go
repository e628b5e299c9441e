// Package media is the sound of calls: RTP sessions on ports of its own, and the sources that they play (ringing tones,
// audio files over HTTP, synthesised speech).
//
// An [Engine] is made once; it opens a [Session] per call and makes a [Source] per thing to be heard:
//
//	session, err := engine.Open(callID)    // a port for the SDP
//	session.Configure(params)              // what the SDP agreed on; RTP starts
//	source, err := engine.Speak(ctx, text) // or Fetch, or Ringing
//	err = session.Play(ctx, source)        // returns when the last of it was sent
//	err = source.Close()
//
// All sound inside the package is 16-bit linear, mono, 8000 samples a second, which is what G.711 carries. The package
// knows nothing of SIP, SDP or BXML.
package media
