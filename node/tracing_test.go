package node_test

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

// traces is a collector of OTLP over HTTP at 10.0.0.8:4318.
type traces struct {
	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
}

func newTraces(t *testing.T, n *scenario.Memory) *traces {
	t.Helper()
	l, err := n.Listen(t.Context(), "tcp", "10.0.0.8:4318")
	require.NoError(t, err)
	c := &traces{resource: map[string]string{}}
	server := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		serving.Wait()
	})
	return c
}

// ServeHTTP takes the spans. A request is an ExportTraceServiceRequest, which has the shape of TracesData.
func (c *traces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &data) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range data.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			c.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
}

// all returns the spans so far, in the order in which they began.
func (c *traces) all() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(a, b *tracepb.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	return all
}

// named returns the spans of a name.
func (c *traces) named(name string) []*tracepb.Span {
	return slices.DeleteFunc(c.all(), func(s *tracepb.Span) bool { return s.Name != name })
}

// tree draws spans under their parents, a failed one with an exclamation mark.
func (c *traces) tree() string {
	var b strings.Builder
	all := c.all()
	var draw func(parent []byte, depth int)
	draw = func(parent []byte, depth int) {
		for _, s := range all {
			if string(s.ParentSpanId) != string(parent) {
				continue
			}
			mark := ""
			if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
				mark = " !"
			}
			fmt.Fprintf(&b, "%s%s%s\n", strings.Repeat("  ", depth), s.Name, mark)
			draw(s.SpanId, depth+1)
		}
	}
	draw(nil, 0)
	return b.String()
}

func attributesOf(s *tracepb.Span) map[string]any {
	all := map[string]any{}
	for _, a := range s.Attributes {
		switch v := a.Value; {
		case v.GetStringValue() != "":
			all[a.Key] = v.GetStringValue()
		case v.GetIntValue() != 0:
			all[a.Key] = int(v.GetIntValue())
		default:
			all[a.Key] = v.GetBoolValue()
		}
	}
	return all
}

func traceparent(s *tracepb.Span) string {
	return "00-" + hex.EncodeToString(s.TraceId) + "-" + hex.EncodeToString(s.SpanId) + "-01"
}

func traced(cfg *node.Config) { cfg.Tracing.OTLPURL = "http://10.0.0.8:4318/v1/traces" }

func TestAReferredCallIsATrace(t *testing.T) {
	inBubble(t, func(cfg *node.Config) {
		traced(cfg)
		cfg.Applications[0].CallInitiatedCallbackURL = "http://u:HIDDEN@app.example/initiate?token=HIDDEN"
	}, func(t *testing.T, b *bubble) {
		c := newTraces(t, b.net)
		b.app.On("disconnect", scenario.Reply{Status: 503}, scenario.Reply{Status: 204})
		began := time.Now()
		referredCall(b)
		b.app.Expect("disconnect")
		b.app.Expect("disconnect")
		time.Sleep(leftover)

		assert.Equal(t, strings.TrimLeft(`
call
  POST initiate
  document
    verb Refer
      REFER !
      POST referComplete
  document
    verb SpeakSentence
  POST disconnect !
  POST disconnect
`, "\n"), c.tree())
		assert.Equal(t, "callengine", c.resource["service.name"])

		record := b.record(b.app.EventsOf("disconnect")[0])
		for _, s := range c.all() {
			assert.Equal(t, record.CallID, attributesOf(s)["callengine.call_id"], s.Name)
			assert.Equal(t, c.all()[0].TraceId, s.TraceId, s.Name)
			assert.NotContains(t, s.String(), "HIDDEN")
		}
		for _, event := range []string{"initiate", "referComplete", "disconnect"} {
			requests, spans := b.app.EventsOf(event), c.named("POST "+event)
			require.Len(t, spans, len(requests), event)
			for i, r := range requests {
				assert.Equal(t, traceparent(spans[i]), r.Header.Get("Traceparent"), event)
				assert.Equal(t, r.ID(), attributesOf(spans[i])["callengine.event_id"])
			}
		}

		refer := c.named("REFER")[0]
		assert.Equal(t, began.UnixNano(), int64(refer.StartTimeUnixNano))
		assert.Equal(t, 4*time.Second, time.Duration(refer.EndTimeUnixNano-refer.StartTimeUnixNano))
		assert.Subset(t, attributesOf(refer), map[string]any{
			"callengine.refer.status": "failure", "callengine.refer.evidence": "final-notify", "error.type": "final-notify",
			"callengine.refer.sip_response_code": 202, "callengine.refer.notify_sip_response_code": 486,
		})
		initiate := c.named("POST initiate")[0]
		assert.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, initiate.Kind)
		assert.Subset(t, attributesOf(initiate), map[string]any{
			"http.request.method": "POST", "http.response.status_code": 200, "url.full": "http://app.example/initiate",
			"server.address": "app.example", "server.port": 80, "callengine.event_type": "initiate",
		})
		again := c.named("POST disconnect")
		assert.Subset(t, attributesOf(again[0]), map[string]any{"http.response.status_code": 503, "error.type": "503"})
		assert.Equal(t, 1, attributesOf(again[1])["http.request.resend_count"])
		assert.EqualValues(t, len(c.all()), b.metrics()[`callengine_trace_spans_total{result="sent"}`])
	})
}

func TestSpansOfWhatGoesWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		document string
		play     func(b *bubble, c *scenario.ScriptedCall)
		want     string
	}{
		"invalid BXML": {response(`<Nonsense/>`), func(_ *bubble, c *scenario.ScriptedCall) { c.Rejected(500) }, `
call !
  POST initiate
  document !
  POST disconnect
`},
		"a verb that cannot be done": {response(`<PlayAudio>http://audio.example/none.wav</PlayAudio>`),
			func(_ *bubble, c *scenario.ScriptedCall) { c.Expect("BYE") }, `
call !
  POST initiate
  document !
    verb PlayAudio !
  POST disconnect
`},
		"nothing: the caller hangs up": {response(`<Pause duration="60"/>`), func(_ *bubble, c *scenario.ScriptedCall) {
			c.Answered()
			c.Bye()
		}, `
call
  POST initiate
  document
    verb Pause
  POST disconnect
`},
		"a REFER that outlives its call": {response(`<Refer referCompleteUrl="/done"><SipUri>sip:a@b.example</SipUri></Refer>`),
			func(b *bubble, c *scenario.ScriptedCall) {
				refer := c.ExpectRefer()
				refer.Reply(202)
				c.Bye()
				time.Sleep(time.Second)
				refer.Notify("SIP/2.0 200 OK")
				b.app.Expect("referComplete")
			}, `
call
  POST initiate
  document
    verb Refer
      REFER
  POST disconnect
  POST referComplete
`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, traced, func(t *testing.T, b *bubble) {
				collector := newTraces(t, b.net)
				tc.play(b, b.invite(tc.document))
				b.app.Expect("disconnect")
				time.Sleep(leftover)
				assert.Equal(t, strings.TrimLeft(tc.want, "\n"), collector.tree())
			})
		})
	}
}

func TestADrainSendsTheSpans(t *testing.T) {
	inBubble(t, traced, func(t *testing.T, b *bubble) {
		c := newTraces(t, b.net)
		b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
		began := time.Now()
		b.node.Drain(t.Context())
		assert.NotEmpty(t, c.named("call"))
		assert.Less(t, time.Since(began), time.Second)
	})
}

func TestACallDoesNotCareForTheCollectorOfTraces(t *testing.T) {
	for name, blackhole := range map[string]bool{"nobody listens": false, "it never answers": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, traced, func(t *testing.T, b *bubble) {
				if blackhole {
					l, err := b.net.Listen(t.Context(), "tcp", "10.0.0.8:4318") // and never accepts
					require.NoError(t, err)
					t.Cleanup(func() { assert.NoError(t, l.Close()) })
				}
				for range 3 {
					began := time.Now()
					b.call(response(`<Pause duration="10"/>`)).Expect("BYE")
					b.disconnect("hangup", "")
					assert.Equal(t, 10*time.Second, time.Since(began))
					time.Sleep(leftover)
				}
				assert.Equal(t, 1, b.logs.FilterMessage("traces cannot be sent").Len(), "once per row of failures")
				assert.Positive(t, b.metrics()[`callengine_trace_spans_total{result="failed"}`])
				b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
				began := time.Now()
				b.node.Drain(t.Context())
				require.NoError(t, b.node.Close())
				assert.LessOrEqual(t, time.Since(began), 5*time.Second)
			})
		})
	}
}

func TestTraceparentsWithoutTraces(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*node.Config)
		want   string
	}{
		"not traced":  {func(*node.Config) {}, `^$`},
		"not sampled": {func(cfg *node.Config) { traced(cfg); cfg.Tracing.SampleRatio = 0 }, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				c := newTraces(t, b.net)
				b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
				b.disconnect("hangup", "")
				synctest.Wait()
				for _, e := range b.app.Events() {
					assert.Regexp(t, tc.want, e.Header.Get("Traceparent"))
				}
				time.Sleep(leftover)
				assert.Empty(t, c.all())
			})
		})
	}
}

func TestNothingIsLeftOfANodeThatIsRefused(t *testing.T) {
	others := goleak.IgnoreCurrent()
	cfg := node.DefaultConfig()
	cfg.Tracing.OTLPURL = "http://127.0.0.1:9/v1/traces"
	cfg.SIP.Listen[0].Addr = netip.MustParseAddrPort("0.0.0.0:5060") // what it advertises is missing
	_, err := node.New(cfg)
	require.ErrorContains(t, err, "sip.advertise")
	goleak.VerifyNone(t, others)
}
