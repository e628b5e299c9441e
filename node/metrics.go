package node

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/sipstack/hep"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
	"github.com/callengine/callengine/webhook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the node's figures for Prometheus. Every label has a closed set of values.
type metrics struct {
	registry *prometheus.Registry

	callsActive   *prometheus.GaugeVec
	callsStarted  *prometheus.CounterVec
	callsEnded    *prometheus.CounterVec
	callsRefused  *prometheus.CounterVec
	sipMessages   sipCounters
	refers        *prometheus.CounterVec
	referDuration *prometheus.HistogramVec
	refersPending prometheus.Gauge
	lateNotifies  prometheus.Counter
	webhooks      *prometheus.HistogramVec
	verbs         *prometheus.CounterVec
	panics        prometheus.Counter
	authFailures  *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	silenced      prometheus.Counter
	rtpIn, rtpOut prometheus.Counter
	rtpLost       prometheus.Counter
	rtpIgnored    prometheus.Counter
	rtpLate       prometheus.Counter
	rtpConcealed  prometheus.Counter
	rtpRejected   prometheus.Counter
	handshakes    *prometheus.CounterVec
	ports         prometheus.Gauge
	speechCache   *prometheus.CounterVec
	hepPackets    *prometheus.CounterVec
	traceSpans    *prometheus.CounterVec
	httpRequests  *prometheus.CounterVec
	streams       prometheus.Gauge
	streamsEnded  *prometheus.CounterVec
	streamDropped prometheus.Counter
	streamRefused *prometheus.CounterVec
	callsResumed  prometheus.Counter
	recoveryTook  prometheus.Gauge

	recordingsActive prometheus.Gauge
	recordings       *prometheus.CounterVec
	recordingBytes   prometheus.Counter
	uploads          *prometheus.CounterVec

	transcriptions    prometheus.Gauge
	transcribed       *prometheus.CounterVec
	transcriptionLost prometheus.Counter

	mu        sync.Mutex
	streamsUp map[string]struct{}      // by id
	pending   map[referralKey]struct{} // referrals under way: their states are told more than once
}

// referralKey names a referral among those of all calls.
type referralKey struct{ callID, id string }

// waits are the bounds, in seconds, of histograms of what a caller waits for.
var waits = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60}

func newMetrics(build BuildInfo) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), pending: map[referralKey]struct{}{}, streamsUp: map[string]struct{}{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callengine_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callengine_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callengine_" + name, Help: help, Buckets: waits}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.callsActive = gauge("calls_active", "Calls that have begun and not ended.", "direction")
	m.callsStarted = counter("calls_total", "Calls that have begun.", "direction")
	m.callsEnded = counter("calls_ended_total", "Calls that have ended, by cause.", "cause")
	m.callsRefused = counter("calls_refused_total", "Calls turned away before they began, by reason.", "reason")
	m.callsResumed = counter("calls_recovered_total", "Calls that another process left unfinished and this one took up.").WithLabelValues()
	m.recoveryTook = gauge("recovery_duration_seconds", "Time that taking them up took at the start.").WithLabelValues()
	m.authFailures = counter("sip_auth_failures_total", "INVITEs whose credentials were refused, by reason.", "reason")
	m.dropped = counter("sip_requests_dropped_total", "SIP requests turned away for their source's sake: over its rate limit, or silenced.", "reason")
	m.silenced = counter("sip_sources_silenced_total", "Times that a source was silenced.").WithLabelValues()
	m.sipMessages.vec = counter("sip_messages_total", "SIP requests (code \"request\") and responses, by their status.", "direction", "method", "code")
	m.refers = counter("refers_total", "Refers that have ended, by result and evidence.", "result", "evidence")
	m.referDuration = histogram("refer_duration_seconds", "Refer: \"response\" until the REFER's answer, \"outcome\" from there to the end.", "phase")
	m.refersPending = gauge("refers_pending", "Refers whose outcome is not known yet.").WithLabelValues()
	m.lateNotifies = counter("late_notifies_total", "NOTIFYs that came after their Refer was over.").WithLabelValues()
	m.webhooks = histogram("webhook_duration_seconds", "HTTP requests of events, by outcome: a status class or \"failed\".", "event", "outcome")
	m.verbs = counter("verbs_total", "Verbs executed, by result.", "verb", "result")
	m.panics = counter("panics_recovered_total", "Failures inside the node that ended a call or a request, not the node.").WithLabelValues()
	rtp := counter("rtp_packets_total", "RTP packets.", "direction")
	m.rtpIn, m.rtpOut = rtp.WithLabelValues("in"), rtp.WithLabelValues("out")
	m.rtpLost = counter("rtp_packets_lost_total", "RTP packets that callers sent and that never came.").WithLabelValues()
	m.rtpIgnored = counter("rtp_packets_ignored_total", "RTP packets from where the caller is not, or may not be.").WithLabelValues()
	m.rtpLate = counter("rtp_packets_late_total", "RTP packets that came after their sound had been heard by a recording, stream or transcription.").WithLabelValues()
	m.rtpConcealed = counter("rtp_concealed_seconds_total", "Sound made up in place of what callers sent and did not come in time.").WithLabelValues()
	m.rtpRejected = counter("srtp_packets_rejected_total", "Packets of protected calls that were not protected by the caller's key, or seen before.").WithLabelValues()
	m.handshakes = counter("dtls_handshakes_total", "Handshakes that agree on the keys of SRTP, by result.", "result")
	m.ports = gauge("rtp_ports_in_use", "RTP port pairs in use.").WithLabelValues()
	m.speechCache = counter("speech_cache_total", "Texts to speak, by whether they were in the cache.", "result")
	m.hepPackets = counter("hep_packets_total", "SIP messages and RTCP reports for a HEP collector, by result.", "result")
	m.traceSpans = counter("trace_spans_total", "Spans of sampled calls for a collector of traces, by result.", "result")
	m.transcriptions = gauge("transcriptions_active", "Transcriptions under way, of calls, recordings and what is said to a Gather.").WithLabelValues()
	m.transcribed = counter("transcriptions_total", "Transcriptions that have ended, by kind and result.", "kind", "result")
	m.transcriptionLost = counter("transcription_lost_seconds_total", "Seconds of calls' sound that were not transcribed because the engine was too slow.").WithLabelValues()
	m.httpRequests = counter("http_requests_total", "HTTP requests that the node answered, by path and status.", "method", "path", "code")
	m.recordingsActive = gauge("recordings_active", "Recordings under way.").WithLabelValues()
	m.recordings = counter("recordings_total", "Recordings that have ended, by result.", "result")
	m.recordingBytes = counter("recording_bytes_total", "Bytes of recordings that have ended.").WithLabelValues()
	m.uploads = counter("recording_uploads_total", "Attempts to put a recording into the store, by result.", "result")
	for _, result := range []recordings.Status{recordings.Complete, recordings.Partial, recordings.Failed} {
		m.recordings.WithLabelValues(string(result))
	}
	for _, result := range []string{"done", "failed"} {
		m.uploads.WithLabelValues(result)
	}
	m.streams = gauge("streams_active", "Streams of calls' sound to WebSockets that are up.").WithLabelValues()
	m.streamsEnded = counter("streams_total", "Streams that have ended (\"stopped\") or never begun (\"rejected\"), by cause.", "result", "cause")
	m.streamDropped = counter("stream_frames_dropped_total", "Frames of 20 ms that were not sent because the other side of a stream was too slow.").WithLabelValues()
	m.streamRefused = counter("stream_messages_refused_total", "Messages of the other side of a stream that had no effect, by reason.", "reason")
	for _, result := range []hep.Result{hep.Sent, hep.Dropped, hep.Failed} {
		m.hepPackets.WithLabelValues(string(result))
	}
	for _, reason := range []string{"invalid", "full"} {
		m.streamRefused.WithLabelValues(reason)
	}
	for _, result := range []string{spansSent, spansFailed} {
		m.traceSpans.WithLabelValues(result)
	}
	info := gauge("build_info", "Always 1; the labels tell what runs.", "version", "commit", "go_version")
	info.WithLabelValues(build.Version, build.Commit, build.Go).Set(1)
	for _, result := range []string{"ok", "failed"} {
		m.handshakes.WithLabelValues(result)
	}
	for _, result := range []string{"hit", "miss"} {
		m.speechCache.WithLabelValues(result)
	}
	m.callsActive.WithLabelValues(string(webhook.Inbound))
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) call(c state.Call) {
	switch c.Event {
	case state.CallInitiated:
		m.callsActive.WithLabelValues(c.Direction).Inc()
		m.callsStarted.WithLabelValues(c.Direction).Inc()
	case state.CallResumed:
		m.callsActive.WithLabelValues(string(webhook.Inbound)).Inc()
	case state.CallEnded:
		m.callsActive.WithLabelValues(string(webhook.Inbound)).Dec()
		m.callsEnded.WithLabelValues(c.Cause).Inc()
	}
}

// recovered tells how many calls of another process were taken up at the start, and how long that took.
func (m *metrics) recovered(calls int, took time.Duration) {
	m.callsResumed.Add(float64(calls))
	m.recoveryTook.Set(took.Seconds())
}

func (m *metrics) refused(reason string) { m.callsRefused.WithLabelValues(reason).Inc() }

func (m *metrics) turnedAway(r sipstack.Refusal) {
	switch {
	case r.Reason == sipstack.RefusedAuthentication:
		m.authFailures.WithLabelValues(r.Detail).Inc()
	case r.For > 0:
		m.silenced.Inc()
	default:
		m.dropped.WithLabelValues(r.Reason).Inc()
	}
}

func (m *metrics) refer(callID string, s sipstack.ReferState) {
	key := referralKey{callID, s.ID}
	m.mu.Lock()
	_, known := m.pending[key]
	if s.Status == state.ReferPending {
		m.pending[key] = struct{}{}
	} else {
		delete(m.pending, key)
	}
	m.refersPending.Set(float64(len(m.pending)))
	m.mu.Unlock()
	if s.Status == state.ReferPending || !known {
		return
	}
	m.refers.WithLabelValues(s.Status, s.Evidence).Inc()
	answered := s.Accepted
	if answered.IsZero() {
		answered = s.Ended
	}
	m.referDuration.WithLabelValues("response").Observe(answered.Sub(s.Sent).Seconds())
	if !s.Accepted.IsZero() {
		m.referDuration.WithLabelValues("outcome").Observe(s.Ended.Sub(s.Accepted).Seconds())
	}
}

func (m *metrics) lateNotify() { m.lateNotifies.Inc() }

func (m *metrics) webhook(x webhook.Exchange) {
	outcome := "failed"
	if x.Err == nil && x.Status != 0 {
		outcome = strconv.Itoa(x.Status/100) + "xx"
	}
	m.webhooks.WithLabelValues(x.Event.Type, outcome).Observe(x.Duration.Seconds())
}

func (m *metrics) verb(v state.Verb) {
	if v.Event != state.VerbEnded {
		return
	}
	result := "done"
	if v.Error != "" {
		result = "failed"
	}
	m.verbs.WithLabelValues(v.Name, result).Inc()
}

// httpRequest counts an answer of the API. Its path is a pattern, and its method is known where the path answers to it.
func (m *metrics) httpRequest(method, path string, code int) {
	m.httpRequests.WithLabelValues(method, path, strconv.Itoa(code)).Inc()
}

func (m *metrics) hepPacket(r hep.Result) { m.hepPackets.WithLabelValues(string(r)).Inc() }

// recordingEnded counts a recording whose file is closed.
func (m *metrics) recordingEnded(result recordings.Status, bytes int64) {
	m.recordingsActive.Dec()
	m.recordings.WithLabelValues(string(result)).Inc()
	m.recordingBytes.Add(float64(bytes))
}

func (m *metrics) upload(r recordings.Result) {
	result := "done"
	if r == recordings.UploadFailed {
		result = "failed"
	}
	m.uploads.WithLabelValues(result).Inc()
}

// waiting sets what tells how many recordings are not where they stay, or not told of.
func (m *metrics) waiting(f func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "callengine_recordings_waiting", Help: "Recordings that are over, and for which something is left to do.",
	}, func() float64 { return float64(f()) }))
}

func (m *metrics) spans(result string, n int) { m.traceSpans.WithLabelValues(result).Add(float64(n)) }

var _ media.Counters = (*metrics)(nil)

// PanicRecovered implements [media.Counters], and counts for the other rooms, too.
func (m *metrics) PanicRecovered() { m.panics.Inc() }

// RTPReceived implements [media.Counters].
func (m *metrics) RTPReceived(packets int) { m.rtpIn.Add(float64(packets)) }

// RTPSent implements [media.Counters].
func (m *metrics) RTPSent(packets int) { m.rtpOut.Add(float64(packets)) }

// RTPIgnored implements [media.Counters].
func (m *metrics) RTPIgnored(packets int) { m.rtpIgnored.Add(float64(packets)) }

// RTPLost implements [media.Counters].
func (m *metrics) RTPLost(packets int) { m.rtpLost.Add(float64(packets)) }

// RTPLate implements [media.Counters].
func (m *metrics) RTPLate(packets int) { m.rtpLate.Add(float64(packets)) }

// RTPConcealed implements [media.Counters].
func (m *metrics) RTPConcealed(length time.Duration) { m.rtpConcealed.Add(length.Seconds()) }

// RTPRejected implements [media.Counters].
func (m *metrics) RTPRejected(packets int) { m.rtpRejected.Add(float64(packets)) }

// DTLSHandshake implements [media.Counters].
func (m *metrics) DTLSHandshake(ok bool) {
	if ok {
		m.handshakes.WithLabelValues("ok").Inc()
	} else {
		m.handshakes.WithLabelValues("failed").Inc()
	}
}

// PortsInUse implements [media.Counters].
func (m *metrics) PortsInUse(pairs int) { m.ports.Set(float64(pairs)) }

// SpeechCache implements [media.Counters].
func (m *metrics) SpeechCache(hit bool) {
	result := "miss"
	if hit {
		result = "hit"
	}
	m.speechCache.WithLabelValues(result).Inc()
}

// transcription counts the end of a transcription of this kind: "live", "recording" or "gather".
func (m *metrics) transcription(kind, result string) {
	m.transcribed.WithLabelValues(kind, result).Inc()
}
