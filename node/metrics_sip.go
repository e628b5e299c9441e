package node

import (
	"strconv"
	"sync"

	"github.com/callengine/callengine/sipstack"
	"github.com/prometheus/client_golang/prometheus"
)

// methods are those that get a label of their own; what else arrives is foreign text.
var methods = map[string]bool{
	"INVITE": true, "ACK": true, "BYE": true, "CANCEL": true, "OPTIONS": true, "REGISTER": true, "PRACK": true, "UPDATE": true,
	"INFO": true, "REFER": true, "NOTIFY": true, "SUBSCRIBE": true, "MESSAGE": true, "PUBLISH": true,
}

func (m *metrics) sipMessage(direction, method string, code int) {
	m.sipMessages.of(direction, method, code).Inc()
}

// sipCounters count SIP messages. To find a counter by the texts of its labels takes longer than all else that is done to count a
// message, so those that are known are kept by what they count.
type sipCounters struct {
	vec *prometheus.CounterVec

	mu    sync.RWMutex
	known map[sipKind]prometheus.Counter // as many as there are of the label values
}

type sipKind struct {
	direction, method string
	code              int // 0: a request; -1: a response with a code that there is not
}

func (c *sipCounters) of(direction, method string, code int) prometheus.Counter {
	if !methods[method] {
		method = "other"
	}
	if code != 0 && (code < 100 || code > 699) {
		code = -1
	}
	kind := sipKind{direction, method, code}
	c.mu.RLock()
	counter := c.known[kind]
	c.mu.RUnlock()
	if counter != nil {
		return counter
	}
	counter = c.vec.WithLabelValues(direction, method, kind.label())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[sipKind]prometheus.Counter{}
	}
	c.known[kind] = counter
	return counter
}

func (k sipKind) label() string {
	switch k.code {
	case 0:
		return "request"
	case -1:
		return "other"
	}
	return strconv.Itoa(k.code)
}

// oversized registers the figures of requests that are too long for UDP.
func (m *metrics) oversized(state func() sipstack.Oversized) {
	for sent, count := range map[string]func() int64{
		"tcp":       func() int64 { return state().TCP },
		"fragments": func() int64 { return state().Fragments },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "callengine_sip_oversized_requests_total", Help: "Requests too long for UDP, by how they were sent.",
			ConstLabels: prometheus.Labels{"sent": sent},
		}, func() float64 { return float64(count()) }))
	}
}

// tls registers the figures of TLS, which state tells when they are asked for.
func (m *metrics) tls(state func() sipstack.TLSState) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "callengine_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate in use for SIP over TLS expires, in Unix time; 0: there is none.",
		}, func() float64 {
			expiry := state().Expiry
			if expiry.IsZero() {
				return 0
			}
			return float64(expiry.Unix())
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "callengine_tls_reload_failures_total",
			Help: "Changes of the TLS files that could not be used.",
		}, func() float64 { return float64(state().ReloadFailures) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "callengine_tls_handshake_failures_total",
			Help: "TLS handshakes of SIP that failed, in both directions.",
		}, func() float64 { return float64(state().FailedHandshakes) }),
	)
}
