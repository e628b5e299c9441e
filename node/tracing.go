package node

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Attributes for which OpenTelemetry has no name.
const (
	keyCallID        = attribute.Key("callengine.call_id")
	keySIPCallID     = attribute.Key("callengine.sip_call_id")
	keyApplicationID = attribute.Key("callengine.application_id")
	keyDirection     = attribute.Key("callengine.direction")
	keyVerb          = attribute.Key("callengine.verb")
	keyLine          = attribute.Key("callengine.document.line")
	keyEventID       = attribute.Key("callengine.event_id")
	keyEventType     = attribute.Key("callengine.event_type")
	keyFallback      = attribute.Key("callengine.fallback")
	keyReferID       = attribute.Key("callengine.refer.id")
	keyReferStatus   = attribute.Key("callengine.refer.status")
	keyReferEvidence = attribute.Key("callengine.refer.evidence")
	keyReferCode     = attribute.Key("callengine.refer.sip_response_code")
	keyNotifyCode    = attribute.Key("callengine.refer.notify_sip_response_code")
)

// tracing makes spans of what happens on calls. A nil one makes none.
type tracing struct {
	tracer   trace.Tracer
	exporter *spanExporter

	mu        sync.Mutex
	referring map[string]context.Context // the values under which a call's REFER was sent, until its end is told
}

var (
	_ interpreter.Tracer = (*tracing)(nil)
	_ webhook.Tracer     = (*tracing)(nil)
)

// callIDKey is under which a context holds the id of its call.
type callIDKey struct{}

// Call implements [interpreter.Tracer]: the root of a trace.
func (t *tracing) Call(ctx context.Context, c webhook.Call) (context.Context, func(error)) {
	ctx = context.WithValue(ctx, callIDKey{}, c.CallID)
	return t.begin(ctx, "call", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.StartTime),
		trace.WithAttributes(
			keySIPCallID.String(c.SIPCallID), keyApplicationID.String(c.ApplicationID), keyDirection.String(string(c.Direction)),
		))
}

// Document implements [interpreter.Tracer].
func (t *tracing) Document(ctx context.Context, address string) (context.Context, func(error)) {
	return t.begin(ctx, "document", trace.WithAttributes(addressed(address)...))
}

// Verb implements [interpreter.Tracer].
func (t *tracing) Verb(ctx context.Context, name string, at verbs.Position) (context.Context, func(error)) {
	return t.begin(ctx, "verb "+name, trace.WithAttributes(keyVerb.String(name), keyLine.Int(at.Line)))
}

func (t *tracing) begin(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(ctx, name, opts...)
	id, _ := ctx.Value(callIDKey{}).(string)
	span.SetAttributes(keyCallID.String(id))
	return ctx, func(fault error) {
		failed(span, fault)
		span.End()
	}
}

func failed(span trace.Span, fault error) {
	if fault != nil {
		span.SetStatus(codes.Error, fault.Error())
		span.SetAttributes(semconv.ErrorType(fault))
	}
}

// Begin implements [webhook.Tracer]: a span per request, which the application hears of (W3C Trace Context, traceparent).
func (t *tracing) Begin(ctx context.Context, x webhook.Exchange, h http.Header) func(webhook.Exchange) {
	ctx, span := t.tracer.Start(ctx, x.Method+" "+x.Event.Type, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(x.Method),
		keyCallID.String(x.Event.CallID), keyEventID.String(x.Event.ID), keyEventType.String(x.Event.Type),
		keyFallback.Bool(x.Fallback),
	), trace.WithAttributes(addressed(x.URL)...))
	if x.Attempt > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(x.Attempt - 1))
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	return func(x webhook.Exchange) {
		if x.Status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(x.Status))
		}
		switch {
		case x.Err != nil:
			failed(span, x.Err)
		case x.Status >= http.StatusBadRequest:
			span.SetStatus(codes.Error, "")
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(x.Status)))
		}
		span.End()
	}
}

// addressed describes a URL without what may be a secret: its user information and its query.
func addressed(address string) (all []attribute.KeyValue) {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	all = append(all, semconv.URLFull(u.String()), semconv.ServerAddress(u.Hostname()))
	port := map[string]int{"http": 80, "https": 443}[u.Scheme]
	if n, err := strconv.Atoi(u.Port()); err == nil {
		port = n
	}
	return append(all, semconv.ServerPort(port))
}

// refers is told that a call is about to be referred, under ctx; a REFER that was not sent after all is taken back.
func (t *tracing) refers(ctx context.Context, callID string) (takeBack func()) {
	if t == nil {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.referring[callID] = context.WithoutCancel(ctx)
	return func() { t.referred(callID) }
}

func (t *tracing) referred(callID string) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, ok := t.referring[callID]
	if !ok {
		return context.Background()
	}
	delete(t.referring, callID)
	return ctx
}

// refer makes the span of a REFER whose outcome is known: from its sending to that.
func (t *tracing) refer(callID string, s sipstack.ReferState) {
	if t == nil || s.Status == state.ReferPending {
		return
	}
	ctx := t.referred(callID)
	_, span := t.tracer.Start(ctx, "REFER", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(s.Sent), trace.WithAttributes(
		keyCallID.String(callID), keyReferID.String(s.ID), keyReferStatus.String(s.Status), keyReferEvidence.String(s.Evidence),
	))
	if s.ReferCode != 0 {
		span.SetAttributes(keyReferCode.Int(s.ReferCode))
	}
	if s.NotifyCode != 0 {
		span.SetAttributes(keyNotifyCode.Int(s.NotifyCode))
	}
	if !s.Accepted.IsZero() {
		span.AddEvent("accepted", trace.WithTimestamp(s.Accepted))
	}
	if s.Status == state.ReferFailure {
		span.SetStatus(codes.Error, fmt.Sprintf("REFER %d, NOTIFY %d", s.ReferCode, s.NotifyCode))
		span.SetAttributes(semconv.ErrorTypeKey.String(s.Evidence))
	}
	ended := s.Ended
	if ended.IsZero() {
		ended = time.Now()
	}
	span.End(trace.WithTimestamp(ended))
}
