package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// mood is how a server takes requests from now on: a test makes it slow, short of workers, failing or tired, and well again.
type mood struct {
	delay atomic.Int64
	// Status of every answer; 0: the ordinary one.
	code atomic.Int64
	// The pause in seconds that such an answer asks for; 0: none.
	after atomic.Int64
	// nil: any number of requests at a time.
	workers chan struct{}
}

func newMood(delay time.Duration, workers int) *mood {
	m := &mood{}
	m.delay.Store(int64(delay))
	if workers > 0 {
		m.workers = make(chan struct{}, workers)
	}
	return m
}

// serve takes the time of one request, unless its caller gives it up before.
func (m *mood) serve(ctx context.Context) error {
	if m.workers != nil {
		select {
		case m.workers <- struct{}{}:
			defer func() { <-m.workers }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-time.After(time.Duration(m.delay.Load())):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuses tells whether the answer is another than the ordinary one, and gives it.
func (m *mood) refuses(w http.ResponseWriter) bool {
	code := int(m.code.Load())
	if code == 0 {
		return false
	}
	if after := m.after.Load(); after > 0 {
		w.Header().Set("retry-after", strconv.FormatInt(after, 10))
	}
	w.WriteHeader(code)
	return true
}

// rpcError is the same for a call: nil is the ordinary answer.
func (m *mood) rpcError(ctx context.Context) error {
	var code codes.Code
	switch m.code.Load() {
	case 0:
		return nil
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	default:
		code = codes.Internal
	}
	if after := m.after.Load(); after > 0 {
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", fmt.Sprint(after*1000))); err != nil {
			return err
		}
	}
	return status.Error(code, "as a test wants it")
}

// routes: GET /slow/{ms} sets the time that every request takes, GET /answers/{code}/{after} what it gets and the pause in seconds that is asked for.
func (m *mood) routes(mux *http.ServeMux) {
	mux.HandleFunc("/slow/{ms}", func(_ http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.ParseInt(r.PathValue("ms"), 10, 64)
		m.delay.Store(min(ms, 60_000) * int64(time.Millisecond))
	})
	mux.HandleFunc("/answers/{code}/{after}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.ParseInt(r.PathValue("code"), 10, 64)
		after, invalid := strconv.ParseInt(r.PathValue("after"), 10, 64)
		if err != nil || invalid != nil || code < 200 || code > 599 {
			http.Error(w, "want /answers/{200 to 599}/{seconds}", http.StatusBadRequest)
			return
		}
		if code == http.StatusOK {
			code = 0
		}
		m.after.Store(after)
		m.code.Store(code)
	})
}
