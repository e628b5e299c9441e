// Package stream sends the sound of a call to a WebSocket while the call goes on, and plays what comes back: the
// protocol of StartStream (docs/streams.md).
//
// [Open] makes the connection, [Stream.Run] streams until its context ends or the other side closes it. Messages are JSON
// texts: "start", one "media" for each 20 ms of a track, "stop"; from the other side of a bidirectional stream
// "playAudio" and "clear".
//
// The call never waits for the other side. What cannot be sent in time is dropped, the oldest first; what comes in too
// fast is not read; what is no message of the protocol is passed over. All of it is counted.
package stream
