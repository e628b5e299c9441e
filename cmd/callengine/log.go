package main

import (
	"errors"
	"io"
	"time"

	"github.com/callengine/callengine/node"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logEvery is how long a line below warn may wait until it is written, with all others of that time. To write each at once costs a busy
// node more than to make it.
const logEvery = 100 * time.Millisecond

// newLogger writes to w as a configuration that has been checked asks for. What waits is written by end, which must be called last.
func newLogger(cfg node.LogConfig, w io.Writer) (log *zap.Logger, end func()) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		level = zapcore.InfoLevel
	}
	form := zap.NewProductionEncoderConfig()
	form.EncodeTime = zapcore.ISO8601TimeEncoder
	form.EncodeDuration = zapcore.StringDurationEncoder
	form.TimeKey = "time"
	encoder := zapcore.NewJSONEncoder(form)
	if cfg.Format == "console" {
		form.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(form)
	}
	waiting := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(lossy{w}), FlushInterval: logEvery}
	return zap.New(prompt{zapcore.NewCore(encoder, waiting, level)}), func() { _ = waiting.Stop() }
}

// lossy loses what cannot be written, as when a disk is full: what comes after it is tried again. One who is told of an error, as the
// buffer before it is, would write nothing any more. It is not told to bring what is written to the disk either.
type lossy struct{ w io.Writer }

// Write implements [io.Writer].
func (l lossy) Write(b []byte) (int, error) {
	_, _ = l.w.Write(b)
	return len(b), nil
}

// prompt writes lines from warn on at once, and what waits before them.
type prompt struct{ zapcore.Core }

// With implements [zapcore.Core].
func (p prompt) With(fields []zapcore.Field) zapcore.Core { return prompt{p.Core.With(fields)} }

// Check implements [zapcore.Core].
func (p prompt) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if p.Enabled(e.Level) {
		return checked.AddCore(e, p)
	}
	return checked
}

// Write implements [zapcore.Core].
func (p prompt) Write(e zapcore.Entry, fields []zapcore.Field) error {
	err := p.Core.Write(e, fields)
	if e.Level >= zapcore.WarnLevel {
		err = errors.Join(err, p.Sync())
	}
	return err
}
