package node

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Example is the built-in application: what a node does before anybody has written one. It shows all that an application
// is, an HTTP server that answers events with BXML. By the user part of the address that was called:
//
//	refer   refers the caller to the address in the header X-Refer-To of its INVITE or, without one, to hello on this
//	        node; says so when that fails
//	else    says hello and hangs up
type Example struct {
	url    string
	server *http.Server
	served sync.WaitGroup
}

// StartExample serves the built-in application on a free port of the loopback address.
func StartExample(ctx context.Context) (*Example, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("example application: %w", err)
	}
	e := &Example{
		url:    "http://" + l.Addr().String(),
		server: &http.Server{Handler: ExampleHandler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second},
	}
	e.served.Go(func() { _ = e.server.Serve(l) }) // ends with Close; a webhook to it would report anything else
	return e, nil
}

// Application is the built-in application as a configuration names it: every call is its.
func (e *Example) Application() Application {
	app := defaultApplication(1)
	app.ID = "example"
	app.CallInitiatedCallbackURL = e.url + "/initiate"
	app.CallStatusCallbackURL = e.url + "/status"
	return app
}

// Close ends the server, and requests that it has not answered yet.
func (e *Example) Close() error {
	err := e.server.Close()
	e.served.Wait()
	return err
}

// ExampleHandler answers the events of calls to the built-in application.
func ExampleHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /initiate", answer(exampleInitiate))
	mux.HandleFunc("POST /refer-complete", answer(exampleReferComplete))
	mux.HandleFunc("POST /status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// exampleEvent is what the built-in application looks at of its events.
type exampleEvent struct {
	To              string            `json:"to"`
	SIPHeaders      map[string]string `json:"sipHeaders"`
	ReferCallStatus string            `json:"referCallStatus"`
	ReferCode       int               `json:"referSipResponseCode"`
	NotifyCode      int               `json:"notifySipResponseCode"`
}

// maxExampleEvent bounds what is read of an event.
const maxExampleEvent = 64 << 10

func answer(document func(exampleEvent) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var event exampleEvent
		if err := json.NewDecoder(io.LimitReader(r.Body, maxExampleEvent)).Decode(&event); err != nil {
			http.Error(w, "the body is no event", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, document(event)) // a node that is gone needs no answer
	}
}

func exampleInitiate(e exampleEvent) string {
	user, host := userAndHost(e.To)
	if user != "refer" {
		return bxml(
			`<SpeakSentence>Hello from callengine. Your call works. Goodbye.</SpeakSentence>`,
			`<Hangup/>`,
		)
	}
	target := e.SIPHeaders["x-refer-to"]
	if target == "" {
		target = "sip:hello@" + host
	}
	return bxml(
		`<SpeakSentence>One moment, please. You are being handed over.</SpeakSentence>`,
		`<Refer referCompleteUrl="/refer-complete"><SipUri>`+escaped(target)+`</SipUri></Refer>`,
	)
}

func exampleReferComplete(e exampleEvent) string {
	if e.ReferCallStatus == "success" {
		return bxml() // the call is over
	}
	code := e.NotifyCode
	if code == 0 {
		code = e.ReferCode
	}
	reason := "There was no answer."
	if code >= 300 {
		reason = "The answer was " + strings.Join(strings.Split(fmt.Sprint(code), ""), " ") + "."
	}
	return bxml(
		`<SpeakSentence>You could not be handed over. `+reason+`</SpeakSentence>`,
		`<Hangup/>`,
	)
}

func bxml(verbs ...string) string {
	return xml.Header + "<Response>\n  " + strings.Join(verbs, "\n  ") + "\n</Response>\n"
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

// userAndHost splits the SIP URI of an event; the host keeps its port.
func userAndHost(uri string) (user, host string) {
	_, rest, _ := strings.Cut(uri, ":")
	if user, host, found := strings.Cut(rest, "@"); found {
		return user, host
	}
	return "", rest
}
