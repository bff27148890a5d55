package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// health is what every kind of probe finds: a test makes the application sick and well again, and the kubelet must see each of the two.
type health struct {
	address string
	handle  func(net.Listener) error
	rpc     *grpchealth.Server

	mutex    sync.Mutex
	sick     bool
	listener net.Listener
}

// newHealth also owns a byte listener that nothing listens on while the application is sick: what a tcpSocket probe is about.
func newHealth(address string, rpc *grpc.Server, handle func(net.Listener) error) (*health, error) {
	h := &health{address: address, handle: handle, rpc: grpchealth.NewServer()}
	grpc_health_v1.RegisterHealthServer(rpc, h.rpc)
	return h, h.listen()
}

func (h *health) listen() error {
	listener, err := net.Listen("tcp", h.address)
	if err != nil {
		return err
	}
	h.listener = listener
	go func() { _ = h.handle(listener) }()
	return nil
}

// set makes the application sick or well; setting it to what it is changes nothing.
func (h *health) set(sick bool) error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.sick == sick {
		return nil
	}
	h.sick = sick
	if sick {
		h.rpc.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		return h.listener.Close()
	}
	h.rpc.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	return h.listen()
}

func (h *health) isSick() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.sick
}

// routes: GET /healthz tells, POST /health/{state} sets.
func (h *health) routes(mux *http.ServeMux) {
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if h.isSick() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /health/{state}", func(w http.ResponseWriter, r *http.Request) {
		if err := h.set(r.PathValue("state") == "sick"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// isHealthy is `testapp healthy URL`: for an exec probe, in an image without a shell.
func isHealthy(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: testapp healthy URL")
	}
	if result := (callSpec{URL: args[0]}).do(ctx); result.Error != "" || result.Status != http.StatusOK {
		return fmt.Errorf("%s: status %d %s", args[0], result.Status, result.Error)
	}
	return nil
}
