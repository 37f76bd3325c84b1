package store

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger passes etcd's warnings and errors on to log. etcd ends the process
// (Fatal) or panics when its disk fails or its data is broken; with onFatal
// given, such an event calls it and ends only the goroutine, so that the
// process lives on with a store that is out of service. While quiet says so,
// the messages tell nothing that an error does not tell better, and are
// logged for debugging only.
func zapLogger(log *slog.Logger, quiet func() bool, onFatal func(error)) *zap.Logger {
	hook := fatalHook(func(err error) {
		if onFatal != nil {
			onFatal(err)
		}
	})
	return zap.New(slogCore{log: log, quiet: quiet}, zap.WithFatalHook(hook), zap.WithPanicHook(hook))
}

type fatalHook func(error)

// OnWrite implements zapcore.CheckWriteHook. It does not return: whoever logs
// at this level counts on that.
func (h fatalHook) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := fmt.Errorf("etcd: %s", e.Message)
	for _, f := range fields {
		if cause, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			err = fmt.Errorf("etcd: %s: %w", e.Message, cause)
		}
	}
	h(err)
	runtime.Goexit()
}

// slogCore is a zapcore.Core that writes to slog, from Warn up.
type slogCore struct {
	log   *slog.Logger
	quiet func() bool
	with  []zapcore.Field
}

func (slogCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }
func (slogCore) Sync() error                  { return nil }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	c.with = append(c.with[:len(c.with):len(c.with)], fields...)
	return c
}

func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	if c.quiet() {
		level = slog.LevelDebug
	}
	if !c.log.Enabled(context.Background(), level) {
		return nil
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.with {
		f.AddTo(enc)
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	args := make([]any, 0, len(enc.Fields)+1)
	args = append(args, slog.String("from", "etcd"))
	for k, v := range enc.Fields {
		args = append(args, slog.Any(k, v))
	}
	c.log.Log(context.Background(), level, e.Message, args...)
	return nil
}
