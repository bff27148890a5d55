package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// loadSpec bounds a run by count and by time; with a rate it is open loop (requests start on schedule whatever came of the last one), without
// one it is closed loop with `concurrency` workers.
type loadSpec struct {
	Protocol    string            `json:"protocol"` // http1, http2, grpc, grpc-stream, tcp (a connection a line), banner (the server speaks first), tcp-hold (lines on held connections), websocket (messages in turn on so many WebSockets as there are connections)
	Target      string            `json:"target"`   // URL, or host:port for grpc and tcp
	Rate        float64           `json:"rate"`     // per second; 0: closed loop
	Concurrency int               `json:"concurrency"`
	Connections int               `json:"connections"` // http1: at most so many; grpc: so many channels (default 1)
	Count       int               `json:"count"`       // 0: until the time is over
	DurationMs  int               `json:"durationMs"`
	TimeoutMs   int               `json:"timeoutMs"`
	Headers     map[string]string `json:"headers"`
	Method      string            `json:"method"`
	Body        string            `json:"body"`
}

func (s *loadSpec) check() error {
	if s.Concurrency <= 0 {
		s.Concurrency = 16
	}
	if s.Connections <= 0 {
		s.Connections = 1
		if s.Protocol == "http1" {
			s.Connections = s.Concurrency
		}
	}
	if s.TimeoutMs <= 0 {
		// Long, because whether an answer comes is what is asked; on a machine shared with others all programs may stand still for seconds.
		s.TimeoutMs = 20_000
	}
	switch {
	case s.DurationMs <= 0 || s.DurationMs > 600_000:
		return fmt.Errorf("durationMs must be between 1 and 600000, got %d", s.DurationMs)
	case s.Rate < 0 || s.Rate > 20_000 || s.Concurrency > 2_000 || s.Connections > 2_000 || s.Count > 1_000_000:
		return fmt.Errorf("the run is not bounded: rate %v, concurrency %d, connections %d, count %d", s.Rate, s.Concurrency, s.Connections, s.Count)
	}
	return nil
}

// outcome is what became of one request.
type outcome struct {
	backend string
	status  string
	err     error
}

// sender makes one request; close frees what it holds.
type sender interface {
	send(ctx context.Context) outcome
	close()
}

type seen struct {
	Count       int   `json:"count"`
	FirstSentMs int64 `json:"firstSentMs"` // Unix milliseconds at which the first and the last such request was sent
	LastSentMs  int64 `json:"lastSentMs"`
}

type report struct {
	Running   bool            `json:"running"`
	Sent      int             `json:"sent"`
	Answered  int             `json:"answered"`
	Failed    int             `json:"failed"` // no answer, or one that is not success in its protocol's terms
	ByBackend map[string]seen `json:"byBackend"`
	ByStatus  map[string]seen `json:"byStatus"`
	Errors    map[string]int  `json:"errors"`
	// Connections that were made; of bytes they are not counted.
	Connections int64 `json:"connections"`
	P50Us       int64 `json:"p50Us"`
	P99Us       int64 `json:"p99Us"`
	MaxUs       int64 `json:"maxUs"`
}

type run struct {
	spec   loadSpec
	dialer *countingDialer
	cancel context.CancelFunc
	done   chan struct{}

	mutex     sync.Mutex
	state     report
	latencies []int64
}

func startRun(parent context.Context, spec loadSpec) (*run, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	dialer := &countingDialer{}
	via, err := newSender(spec, dialer)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(parent, time.Duration(spec.DurationMs)*time.Millisecond)
	r := &run{spec: spec, dialer: dialer, cancel: cancel, done: make(chan struct{}),
		state: report{Running: true, ByBackend: map[string]seen{}, ByStatus: map[string]seen{}, Errors: map[string]int{}}}
	go func() {
		defer close(r.done)
		defer cancel()
		defer via.close()
		if spec.Rate > 0 {
			r.openLoop(ctx, via)
		} else {
			r.closedLoop(ctx, via)
		}
		r.mutex.Lock()
		r.state.Running = false
		r.mutex.Unlock()
	}()
	return r, nil
}

// one sends a request that outlives the end of the run: what was sent is waited for, so that sent = answered + failed holds.
func (r *run) one(ctx context.Context, via sender) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(r.spec.TimeoutMs)*time.Millisecond)
	defer cancel()
	started := time.Now()
	r.record(started, via.send(ctx), time.Since)
}

func (r *run) record(started time.Time, result outcome, since func(time.Time) time.Duration) {
	took := since(started).Microseconds()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	at := started.UnixMilli()
	if result.err != nil {
		r.state.Failed++
		text := result.err.Error()
		if _, known := r.state.Errors[text]; known || len(r.state.Errors) < 20 {
			r.state.Errors[text]++
		}
	} else {
		r.state.Answered++
	}
	note(r.state.ByBackend, result.backend, at)
	note(r.state.ByStatus, result.status, at)
	if len(r.latencies) < 1_000_000 {
		r.latencies = append(r.latencies, took)
	}
}

func note(into map[string]seen, key string, at int64) {
	if key == "" {
		return
	}
	entry, known := into[key]
	if !known && len(into) >= 100 {
		return
	}
	if !known || at < entry.FirstSentMs {
		entry.FirstSentMs = at
	}
	entry.LastSentMs = max(entry.LastSentMs, at)
	entry.Count++
	into[key] = entry
}

// take counts a request as sent; false when the run's count is used up.
func (r *run) take() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.spec.Count > 0 && r.state.Sent >= r.spec.Count {
		return false
	}
	r.state.Sent++
	return true
}

func (r *run) closedLoop(ctx context.Context, via sender) {
	var workers sync.WaitGroup
	for range r.spec.Concurrency {
		workers.Go(func() {
			for ctx.Err() == nil && r.take() {
				r.one(ctx, via)
			}
		})
	}
	workers.Wait()
}

func (r *run) openLoop(ctx context.Context, via sender) {
	interval := time.Duration(float64(time.Second) / r.spec.Rate)
	var flying sync.WaitGroup
	places := make(chan struct{}, 2_000) // bounds what may be in flight; a run that needs more is not what it claims to be
	next := time.Now()
	for ctx.Err() == nil {
		if wait := time.Until(next); wait > 0 {
			select {
			case <-ctx.Done():
				continue
			case <-time.After(wait):
			}
		}
		next = next.Add(interval)
		if !r.take() {
			break
		}
		places <- struct{}{}
		flying.Go(func() {
			defer func() { <-places }()
			r.one(ctx, via)
		})
	}
	flying.Wait()
}

func (r *run) report() report {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	copied := r.state
	copied.Connections = r.dialer.count.Load()
	copied.ByBackend = clone(r.state.ByBackend)
	copied.ByStatus = clone(r.state.ByStatus)
	copied.Errors = map[string]int{}
	for key, value := range r.state.Errors {
		copied.Errors[key] = value
	}
	if sorted := slices.Sorted(slices.Values(r.latencies)); len(sorted) > 0 {
		copied.P50Us = sorted[len(sorted)/2]
		copied.P99Us = sorted[len(sorted)*99/100]
		copied.MaxUs = sorted[len(sorted)-1]
	}
	return copied
}

func clone(from map[string]seen) map[string]seen {
	to := make(map[string]seen, len(from))
	for key, value := range from {
		to[key] = value
	}
	return to
}
