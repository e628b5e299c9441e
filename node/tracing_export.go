package node

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/zap"
)

// Results of spans, for the metric.
const (
	spansSent   = "sent"
	spansFailed = "failed"
)

const (
	exportTime    = 5 * time.Second  // of one attempt
	exportRetries = 15 * time.Second // of all attempts for a batch
	spanQueue     = 8192             // spans that may wait: of some five hundred calls
	flushTime     = 2 * time.Second  // that a drain waits for the collector
)

// spanExporter sends spans to a collector. What fails is counted and logged here: the library would tell a handler that the
// whole process shares.
type spanExporter struct {
	sdktrace.SpanExporter
	provider  *sdktrace.TracerProvider
	transport *http.Transport
	metrics   *metrics
	log       *zap.Logger
	living    context.Context // ends when nothing more is waited for
	end       context.CancelFunc
	failing   atomic.Bool // a row of failures, of which the first was logged
}

// newTracing makes what traces calls. It opens no socket before the first span has ended.
func newTracing(cfg TracingConfig, build BuildInfo, m *metrics, log *zap.Logger, network Network) (*tracing, error) {
	x := &spanExporter{metrics: m, log: log, transport: &http.Transport{}}
	if network != nil {
		x.transport.DialContext = network.DialContext
	}
	x.living, x.end = context.WithCancel(context.Background())
	exporter, err := otlptrace.New(x.living, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(cfg.OTLPURL),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: x.transport, Timeout: exportTime}),
		otlptracehttp.WithTimeout(exportTime),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: exportTime, MaxElapsedTime: exportRetries,
		}),
	))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	x.SpanExporter = exporter
	x.provider = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
		sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
			semconv.ServiceName("callengine"), semconv.ServiceVersion(build.Version), semconv.ServiceInstanceID(uuid.NewString()),
		)),
		sdktrace.WithRawSpanLimits(sdktrace.NewSpanLimits()),
		sdktrace.WithBatcher(x, sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithExportTimeout(exportRetries+exportTime)),
	)
	return &tracing{
		tracer: x.provider.Tracer("github.com/callengine/callengine"), exporter: x, referring: map[string]context.Context{},
	}, nil
}

// ExportSpans implements [sdktrace.SpanExporter].
func (x *spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(x.living, cancel)()
	if err := x.SpanExporter.ExportSpans(ctx, spans); err != nil {
		x.metrics.spans(spansFailed, len(spans))
		if !x.failing.Swap(true) {
			x.log.Warn("traces cannot be sent", zap.Error(err))
		}
		return nil
	}
	x.metrics.spans(spansSent, len(spans))
	if x.failing.Swap(false) {
		x.log.Info("traces are sent again")
	}
	return nil
}

// flush sends the spans that have ended, for a while.
func (t *tracing) flush(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = t.exporter.provider.ForceFlush(ctx) // the exporter has said what failed, and Close tries again
}

// close sends what is left, for a while, and returns when the exporter's goroutines have ended. Spans that end later are
// lost.
func (t *tracing) close() {
	if t == nil {
		return
	}
	x := t.exporter
	timer := time.AfterFunc(flushTime, x.end)
	_ = x.provider.Shutdown(context.Background()) // its exporter returns no error
	timer.Stop()
	x.end()
	x.transport.CloseIdleConnections()
}
