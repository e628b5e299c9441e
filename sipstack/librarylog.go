package sipstack

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
)

// LibraryLogger returns a logger for sipgo that writes to l at debug level whatever the level was: what sipgo calls an
// error is a packet that could not be read, or a peer that has gone. The packets themselves are left out. The stack uses
// it by itself; a program gives it to sip.SetDefaultLogger, too, for what sipgo writes past its options.
func LibraryLogger(l *zap.Logger) *slog.Logger {
	return slog.New(libraryHandler{zapslog.NewHandler(l.Core(), zapslog.WithName("sipgo"))})
}

type libraryHandler struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (h libraryHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements [slog.Handler].
func (h libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	quiet := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "data" { // a whole packet
			quiet.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, quiet)
}

// WithAttrs implements [slog.Handler].
func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.Handler.WithGroup(name)}
}
