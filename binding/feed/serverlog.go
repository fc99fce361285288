package feed

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// A serverLog carries the embedded server's log to slog. Anybody who can reach
// the listener can make the server complain, so complaints beyond a few per
// minute are only for those who debug. What the server notes about itself is
// too.
type serverLog struct {
	log   *slog.Logger
	loud  *rate.Limiter
	fatal chan string // what the server could not start for
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log, loud: rate.NewLimiter(rate.Every(10*time.Second), 10), fatal: make(chan string, 1)}
}

func (l *serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.complain(format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.complain(format, v) }
func (l *serverLog) Tracef(string, ...any)           {} // would show payloads

// Fatalf is called when the server cannot start; it is handed to who started
// it.
func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func (l *serverLog) complain(format string, v []any) {
	level := slog.LevelDebug
	if l.loud.Allow() {
		level = slog.LevelWarn
	}
	l.write(level, format, v)
}

func (l *serverLog) write(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "nats server: "+fmt.Sprintf(format, v...))
	}
}
