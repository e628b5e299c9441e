package scenario

import (
	"time"

	"go.yaml.in/yaml/v3"
)

// timers are those of the node's times that make scenarios wait, under short names. Zero: as it is in the node.
type timers struct {
	position
	Transaction time.Duration `yaml:"transaction" doc:"Until a request of the node that nobody answers has failed, and a 200 that nobody acknowledges ends the call (sip.transaction_timeout; SIP's 64*T1). Default: 32s."`
	Notify      time.Duration `yaml:"notify" doc:"From the acceptance of a REFER to its final NOTIFY (refer.notify_timeout). Default: 30s."`
	Callback    time.Duration `yaml:"callback" doc:"Until a webhook has not been answered (callback_timeout of the application); 1s at least. Default: 15s."`
	Keepalive   time.Duration `yaml:"keepalive" doc:"Between two OPTIONS in a quiet call (sip.keepalive). Default: 60s."`
}

// keys are the timers that are set, as keys of the configuration.
func (t *timers) keys() map[string]time.Duration {
	keys := map[string]time.Duration{
		"sip.transaction_timeout": t.Transaction, "refer.notify_timeout": t.Notify, "sip.keepalive": t.Keepalive,
	}
	for key, value := range keys {
		if value == 0 {
			delete(keys, key)
		}
	}
	return keys
}

// checkTimers holds the timers to the node's bounds, and to what the settings say.
func (s *spec) checkTimers(d *decoder) {
	at := &yaml.Node{Line: s.Timers.line, Column: s.Timers.column}
	for key := range s.Timers.keys() {
		if s.Settings.node != nil && lookUp(s.Settings.node, key) != nil {
			d.fail(at, "settings have %s, too: one of them is enough", key)
		}
	}
	if s.Timers.Callback > 0 && s.Settings.node != nil && lookUp(s.Settings.node, "applications") != nil {
		d.fail(at, "callback goes with the scenario's own application, not with applications in settings: they have callback_timeout")
	}
	if s.Timers.line == 0 || len(d.errs) > 0 {
		return
	}
	_, err := (&settings{}).config(d.file, everyAddress(), s.Timers)
	for _, reason := range reasonsOf(err) {
		short := map[string]string{
			"sip.transaction_timeout": "transaction", "refer.notify_timeout": "notify", "sip.keepalive": "keepalive",
			"applications[0].callback_timeout": "callback",
		}[reason.Key]
		d.fail(at, "%s %s", short, reason.Reason)
	}
}
