package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// serveClient offers the load runner over HTTP: POST /run starts a run and answers its id, GET /runs/{id} tells how it stands, DELETE ends it,
// POST /call makes one request and answers all that came back, POST /datagram sends one datagram and answers the one that came back.
func serveClient(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	address := flags.String("listen", ":8099", "where the runner is steered")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runs := &registry{runs: map[string]*run{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		var spec loadSpec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id, err := runs.start(ctx, spec)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, map[string]string{"id": id})
	})
	mux.HandleFunc("GET /runs/{id}", func(w http.ResponseWriter, r *http.Request) {
		if found := runs.get(r.PathValue("id")); found != nil {
			answer(w, found.report())
			return
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("DELETE /runs/{id}", func(w http.ResponseWriter, r *http.Request) {
		found := runs.get(r.PathValue("id"))
		if found == nil {
			http.NotFound(w, r)
			return
		}
		found.cancel()
		<-found.done
		answer(w, found.report())
	})
	mux.HandleFunc("POST /call", func(w http.ResponseWriter, r *http.Request) {
		var spec callSpec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, spec.do(r.Context()))
	})
	mux.HandleFunc("POST /datagram", func(w http.ResponseWriter, r *http.Request) {
		var spec datagramSpec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, spec.do())
	})
	web := &http.Server{Addr: *address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = web.Close()
	}()
	log.Printf("client listens on %s", *address)
	if err := web.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

type registry struct {
	mutex sync.Mutex
	next  int
	runs  map[string]*run
}

func (r *registry) start(ctx context.Context, spec loadSpec) (string, error) {
	started, err := startRun(ctx, spec)
	if err != nil {
		return "", err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.next++
	id := fmt.Sprintf("run-%d", r.next)
	r.runs[id] = started
	return id, nil
}

func (r *registry) get(id string) *run {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.runs[id]
}

// callSpec is one request whose whole answer is of interest.
type callSpec struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	HTTP2   bool              `json:"http2"`
	// Any certificate of the server will do.
	Insecure bool `json:"insecure"`
}

type callResult struct {
	Status  int               `json:"status"`
	Proto   string            `json:"proto"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Error   string            `json:"error,omitempty"`
}

func (c callSpec) do(ctx context.Context) callResult {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL, bytes.NewBufferString(c.Body))
	if err != nil {
		return callResult{Error: err.Error()}
	}
	for name, value := range c.Headers {
		request.Header.Set(name, value)
	}
	transport := newTransport(c.HTTP2, 1)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: c.Insecure}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		return callResult{Error: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	result := callResult{Status: response.StatusCode, Proto: response.Proto, Headers: map[string]string{}, Body: string(body)}
	if err != nil {
		result.Error = err.Error()
	}
	for name, values := range response.Header {
		result.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return result
}

type datagramSpec struct {
	Target string `json:"target"` // host:port
	Text   string `json:"text"`
}

func (d datagramSpec) do() map[string]string {
	conn, err := net.Dial("udp", d.Target)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	defer conn.Close()
	buffer := make([]byte, 2048)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte(d.Text)); err != nil {
		return map[string]string{"error": err.Error()}
	}
	length, err := conn.Read(buffer)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	return map[string]string{"text": string(buffer[:length])}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newTransport(http2 bool, connections int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &http.Transport{Protocols: protocols, MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
}

// callOnce is `testapp call '{"url": ...}'`: the same single request from the command line.
func callOnce(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: testapp call JSON")
	}
	var spec callSpec
	if err := json.Unmarshal([]byte(args[0]), &spec); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(spec.do(ctx))
}
