package httpapi

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
)

// Serve serves h on ln to the peers that allowed admits, until ctx is done; then
// it lets open requests end, as long as stop is not done. It closes ln.
func Serve(ctx, stop context.Context, ln net.Listener, h http.Handler, allowed Operators, logger *slog.Logger) error {
	if allowed == nil {
		return errors.New("operator's channel: nothing says who is an operator")
	}
	srv := &http.Server{
		Handler:           admit(allowed, limit(maxConcurrent, h)),
		ConnContext:       withPeer,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(slogWriter{logger}, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	err := srv.Shutdown(stop)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	<-done
	return err
}

// limit refuses what comes while n requests are being served.
func limit(n int, next http.Handler) http.Handler {
	slots := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			writeProblem(w, problem(http.StatusServiceUnavailable, "busy", "too many requests at once", "try again"))
		}
	})
}

// slogWriter takes what net/http logs.
type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(p []byte) (int, error) {
	if w.log != nil {
		w.log.Debug("operator's channel", "event", string(p))
	}
	return len(p), nil
}
