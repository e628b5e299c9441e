package stream

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/callengine/callengine/media"
)

// Track is one direction of a call's sound, named from the node's side.
type Track string

const (
	Inbound  Track = "inbound"  // what the call's other side says
	Outbound Track = "outbound" // what is sent to it
)

// Metadata is what the first and the last message say of a stream.
type Metadata struct {
	AccountID string
	CallID    string
	StreamID  string
	Name      string
	Tracks    []Track           // one or both, each once
	Params    map[string]string // what the document tells the other side; empty: nothing
}

type control struct {
	EventType string            `json:"eventType"`
	Metadata  metadata          `json:"metadata"`
	Params    map[string]string `json:"streamParams,omitempty"`
}

type metadata struct {
	AccountID  string  `json:"accountId"`
	CallID     string  `json:"callId"`
	StreamID   string  `json:"streamId"`
	StreamName string  `json:"streamName"`
	Tracks     []track `json:"tracks"`
}

type track struct {
	Name        Track       `json:"name"`
	MediaFormat mediaFormat `json:"mediaFormat"`
}

type mediaFormat struct {
	Encoding   string `json:"encoding"`
	SampleRate int    `json:"sampleRate"`
}

// start is the first message.
func (m Metadata) start() []byte { return m.control("start", m.Params) }

// stop is the last one.
func (m Metadata) stop() []byte { return m.control("stop", nil) }

func (m Metadata) control(eventType string, params map[string]string) []byte {
	c := control{EventType: eventType, Params: params, Metadata: metadata{
		AccountID: m.AccountID, CallID: m.CallID, StreamID: m.StreamID, StreamName: m.Name,
	}}
	for _, t := range m.Tracks {
		c.Metadata.Tracks = append(c.Metadata.Tracks, track{t, mediaFormat{media.PCMU.String(), media.SampleRate}})
	}
	message, err := json.Marshal(c)
	if err != nil {
		panic("stream: " + err.Error()) // strings and numbers always marshal
	}
	return message
}

// appendMedia appends the message of a frame to dst. Frames of a track are numbered from 1: a number that is missing is a
// frame that was dropped.
func appendMedia(dst []byte, t Track, number uint64, payload []byte) []byte {
	dst = append(dst, `{"eventType":"media","track":"`...)
	dst = append(dst, t...)
	dst = append(dst, `","sequenceNumber":`...)
	dst = strconv.AppendUint(dst, number, 10)
	dst = append(dst, `,"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return append(dst, `"}`...)
}
