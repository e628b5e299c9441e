package scenario

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// exportSettings finds what shows of the node's configuration.
func (x *export) exportSettings() {
	for _, e := range x.entries {
		if t := e.Timer; t != nil && t.Event == "started" {
			usual := map[string]string{"refer.notify": "30s", "ack": "32s"}[t.Name]
			name := map[string]string{"refer.notify": "notify", "ack": "transaction"}[t.Name]
			if name != "" && t.After != usual && x.timers.get(name) == nil {
				x.timers.add(name, t.After)
			}
		}
	}
	x.exportKeepalive()
	if code := x.outcome(x.invite); code >= 300 && code != 603 && deref(x.record.DisconnectCause) == "hangup" {
		x.settings.add("sip.reject_code", code)
	}
	if strings.Contains(deref(x.record.ErrorMessage), "refer.allow_targets") {
		x.settings.add("refer.allow_targets", []string{"nowhere.invalid"})
	}
	if x.record.From != "" && !strings.HasPrefix(x.record.From, "sip") {
		x.settings.add("sip.pstn_trunks", []string{"127.0.0.0/8"})
	}
	x.exportHearing()
	x.exportApplication()
}

// exportKeepalive sets the time between two questions to the peer where the call was asked sooner than usual.
func (x *export) exportKeepalive() {
	var answered time.Time
	for _, e := range x.entries {
		switch {
		case e.Call != nil && e.Call.Event == state.CallAnswered:
			answered = e.Time
		case e.from("out", "OPTIONS") && e.m.IsRequest() && !answered.IsZero():
			if gap := e.Time.Sub(answered).Round(100 * time.Millisecond); gap > 0 && gap != time.Minute {
				x.timers.add("keepalive", gap.String())
			}
			return
		}
	}
}

// exportApplication finds what is not usual of the application: none that takes the call, another method, a fallback, a
// short time-out.
func (x *export) exportApplication() {
	asked := slices.IndexFunc(x.entries, func(e exported) bool { return e.Webhook != nil && e.Webhook.Event == state.WebhookRequest })
	if asked < 0 {
		if x.outcome(x.invite) == 404 {
			x.settings.add("applications", []any{})
		}
		return
	}
	first := x.entries[asked].Webhook
	application := newMapping()
	if first.Method == "GET" {
		application.add("call_initiated_method", "GET")
	}
	var timeout time.Duration
	redirected := false
	for _, e := range x.entries {
		w := e.Webhook
		switch {
		case w == nil:
		case w.Event == state.WebhookReply:
			redirected = w.Status >= 300 && w.Status < 400
			if w.EventType == first.EventType {
				timeout = max(timeout, timeoutOf(w))
			}
		case w.Event == state.WebhookRequest && w.EventID == first.EventID && w.URL != first.URL && !redirected &&
			application.get("call_initiated_fallback_url") == nil:
			application.add("call_initiated_fallback_url", x.relocated(w.URL))
			application.add("call_initiated_fallback_method", w.Method)
		case w.Event == state.WebhookRequest && w.EventType == "disconnect" && w.Method == "GET" && application.get("call_status_method") == nil:
			application.add("call_status_method", "GET")
		}
	}
	if timeout == 15*time.Second {
		timeout = 0
	}
	if len(application.n.Content) == 0 {
		if timeout > 0 {
			x.timers.add("callback", timeout.String())
		}
		return
	}
	if timeout > 0 {
		application.add("callback_timeout", timeout.String())
	}
	whole := newMapping().with("id", "application").with("call_initiated_callback_url", "${app}/initiate").with("call_status_callback_url", "${app}/status")
	whole.n.Content = append(whole.n.Content, application.n.Content...)
	x.settings.add("applications", []any{whole.n})
}

// overdue finds the time-out of a webhook that had no reply.
var overdue = regexp.MustCompile(`in time \((\w+)\)`)

// timeoutOf is the time-out for which a webhook had no reply; 0: it was not for that.
func timeoutOf(w *state.Webhook) time.Duration {
	found := overdue.FindStringSubmatch(w.Error)
	if found == nil {
		return 0
	}
	d, err := time.ParseDuration(found[1])
	if err != nil {
		return 0
	}
	return d
}
