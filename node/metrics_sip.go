package node

import (
	"github.com/callengine/callengine/sipstack"
	"github.com/prometheus/client_golang/prometheus"
)

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
