package scenario

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.yaml.in/yaml/v3"
)

// socketTable is what must have come over the WebSockets that the application took, by their path.
type socketTable map[string]sockets

// sockets is what must have come over the WebSockets of a path.
type sockets struct {
	position
	Times    *int          `yaml:"times" min:"0" max:"1000" doc:"How many were taken. Default: at least one."`
	Headers  properties    `yaml:"headers" doc:"Header fields of the request for one of them, such as Authorization."`
	Messages []properties  `yaml:"messages" doc:"Properties of JSON messages that came over one of them, in this order; others may have come in between."`
	Track    string        `yaml:"track" enum:"inbound,outbound" doc:"Whose sound at_least and tone are about. Default: inbound."`
	AtLeast  time.Duration `yaml:"at_least" doc:"So much sound that is not silence must have come, at least."`
	Tone     int           `yaml:"tone" min:"1" max:"3900" doc:"What came is a tone of this frequency, in hertz."`
}

func (s *sockets) fromScalar(d *decoder, n *yaml.Node) {
	s.Times = new(int)
	d.scalar(n, s.Times)
}

func (s *sockets) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": "integer", "minimum": 0, "maximum": 1000}
}

// socket is a WebSocket that the application has taken.
type socket struct {
	path     string
	header   http.Header
	messages []map[string]any
	sounds   map[string]*Sound // by track
}

// socketServer takes the WebSockets of a scenario's application.
type socketServer struct {
	choose func(*Event) (Reply, time.Duration) // how one is answered, and when it is closed; 0: when the other side does

	mu    sync.Mutex
	taken []*socket
}

// serve answers a request for a WebSocket, and returns when that is over.
func (s *socketServer) serve(w http.ResponseWriter, r *http.Request) {
	reply, closes := s.choose(newEvent(r, nil))
	switch {
	case !reply.begin(r.Context()):
		panic(http.ErrAbortHandler) // closes the connection
	case reply.Status != 0 || reply.Body != "" || reply.Redirect != "":
		reply.write(w)
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has been told why
	}
	defer c.CloseNow() // without effect once it is closed
	x := &socket{path: r.URL.Path, header: r.Header.Clone(), sounds: map[string]*Sound{}}
	s.mu.Lock()
	s.taken = append(s.taken, x)
	s.mu.Unlock()
	if closes > 0 {
		closing := time.AfterFunc(closes, func() { _ = c.Close(websocket.StatusNormalClosure, "") })
		defer closing.Stop()
	}
	for {
		_, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		s.note(x, text)
	}
}

// note keeps a message.
func (s *socketServer) note(x *socket, text []byte) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil {
		return // a binary one, or none that a scenario can expect
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m["eventType"] != "media" {
		x.messages = append(x.messages, m)
		return
	}
	track, _ := m["track"].(string)
	payload, _ := m["payload"].(string)
	samples, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return
	}
	if x.sounds[track] == nil {
		x.sounds[track] = &Sound{}
	}
	f := Frame{Time: time.Now(), Samples: make([]int16, len(samples))}
	for i, b := range samples {
		f.Samples[i] = decodeULaw(b)
	}
	x.sounds[track].Frames = append(x.sounds[track].Frames, f)
}

// all returns what was taken for a path. The application is closed then.
func (s *socketServer) all(path string) (all []*socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.taken {
		if x.path == path {
			all = append(all, x)
		}
	}
	return all
}

// judgeSockets looks at the WebSockets of each path that a scenario names.
func (r *run) judgeSockets() {
	for _, path := range slices.Sorted(maps.Keys(r.spec.Expect.Sockets)) {
		want := r.spec.Expect.Sockets[path]
		r.judgeSocket(path, &want)
	}
}

func (r *run) judgeSocket(path string, want *sockets) {
	taken := r.sockets.all(path)
	by := setting(want.position, "times", len(taken))
	switch {
	case want.Times != nil && len(taken) != *want.Times:
		r.missing(by, want.position, r.last(), "%s at %s, and there must be %s", count(len(taken)), path, count(*want.Times))
		return
	case want.Times == nil && len(taken) == 0:
		r.missing(by, want.position, r.last(), "there was no WebSocket at %s", path)
		return
	}
	why := ""
	for _, x := range taken {
		if why = r.socketDiffers(want, x); why == "" {
			return
		}
	}
	if why != "" {
		r.missing(nil, want.position, r.last(), "of the WebSocket at %s %s", path, why)
	}
}

func count(n int) string {
	if n == 1 {
		return "1 WebSocket"
	}
	return strconv.Itoa(n) + " WebSockets"
}

// socketDiffers says what of a WebSocket is otherwise; empty: nothing.
func (r *run) socketDiffers(want *sockets, x *socket) string {
	for i := range want.Headers {
		h := &want.Headers[i]
		if why := r.textDiffers("the "+h.name, &h.matcher, x.header.Get(h.name)); why != "" {
			return why
		}
	}
	at := 0
	for _, m := range want.Messages {
		why := "it did not come"
		for ; at < len(x.messages); at++ {
			if other := m.differs(x.messages[at], r.addresses); other == "" {
				why = ""
				at++
				break
			} else if x.messages[at]["eventType"] != nil {
				why = other
			}
		}
		if why != "" {
			return "a message is missing: " + why
		}
	}
	track := want.Track
	if track == "" {
		track = "inbound"
	}
	sound := Sound{}
	if s := x.sounds[track]; s != nil {
		sound = *s
	}
	switch loud := sound.Loud(); {
	case loud < want.AtLeast:
		return "there was " + loud.String() + " of sound, and must be " + want.AtLeast.String() + " at least"
	case want.Tone > 0 && sound.audible().Tone(float64(want.Tone)) < toneShare:
		return "the sound is no tone of " + strconv.Itoa(want.Tone) + " Hz"
	}
	return ""
}
