package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

type server struct {
	name        string
	mood        *mood
	flaky       atomic.Int64
	requests    atomic.Int64
	connections atomic.Int64
	calls       calls
	health      *health
}

// serve runs the HTTP (HTTP/1.1 and h2c on one port), gRPC and byte listeners until the context ends. How it ends is for the flags to say: at once
// (--abrupt), or by going on for a while (--linger), then by finishing what is in flight (--drain), then by a last call (--farewell).
func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	name := flags.String("name", "server", "what every answer says of its sender")
	httpAddress := flags.String("http", ":8080", "HTTP/1.1 and h2c")
	grpcAddress := flags.String("grpc", ":9090", "gRPC")
	tcpAddress := flags.String("tcp", ":7000", "bytes: each line comes back with the name before it")
	bannerAddress := flags.String("banner", ":7025", "bytes: the server speaks first")
	udpAddress := flags.String("udp", ":7053", "datagrams: each comes back with the name before it")
	mirrorAddress := flags.String("mirror", ":7002", "bytes: each comes back as it is, and the end after the last")
	delay := flags.Duration("delay", 0, "service time of every request")
	workers := flags.Int("workers", 0, "requests that are served at one time; 0: any number")
	probedAddress := flags.String("probed", ":7001", "bytes, for tcpSocket probes: closed while the application is sick")
	abrupt := flags.Bool("abrupt", false, "end at once on SIGTERM, whatever is in flight")
	linger := flags.Duration("linger", 0, "how long everything goes on as before after SIGTERM")
	drain := flags.Duration("drain", 2*time.Second, "how long requests in flight have after that")
	farewell := flags.String("farewell", "", "URL of a request that is made at the very end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := &server{name: *name, mood: newMood(*delay, *workers)}
	rpc := grpc.NewServer()
	rpc.RegisterService(&echoService, s)
	var err error
	if s.health, err = newHealth(*probedAddress, rpc, s.serveLines); err != nil {
		return err
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	web := &http.Server{Addr: *httpAddress, Handler: s.handler(), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.connections.Add(1)
			}
		}}

	failed := make(chan error, 6)
	go func() { failed <- web.ListenAndServe() }()
	go func() { failed <- listenAnd(*grpcAddress, rpc.Serve) }()
	go func() { failed <- listenAnd(*tcpAddress, s.serveLines) }()
	go func() { failed <- listenAnd(*bannerAddress, s.serveBanner) }()
	go func() { failed <- s.serveDatagrams(*udpAddress) }()
	go func() { failed <- listenAnd(*mirrorAddress, s.serveMirror) }()
	log.Printf("%s serves http %s grpc %s tcp %s banner %s mirror %s udp %s", *name, *httpAddress, *grpcAddress, *tcpAddress, *bannerAddress, *mirrorAddress, *udpAddress)

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	if *abrupt {
		return nil
	}
	time.Sleep(*linger)
	return s.end(ending{web: web, rpc: rpc, drain: *drain, farewell: *farewell})
}

// ending is the orderly end of a server.
type ending struct {
	web      *http.Server
	rpc      *grpc.Server
	drain    time.Duration
	farewell string
}

func (s *server) end(e ending) error {
	grace, cancel := context.WithTimeout(context.Background(), e.drain)
	defer cancel()
	streams := make(chan struct{})
	go func() {
		e.rpc.GracefulStop()
		close(streams)
	}()
	if err := e.web.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	select {
	case <-streams:
	case <-grace.Done():
	}
	if e.farewell != "" {
		// All connections of this process are gone by now; the proxy must still be there.
		time.Sleep(time.Second)
		result := callSpec{URL: e.farewell}.do(context.Background())
		log.Printf("farewell: status %d %s", result.Status, result.Error)
	}
	return nil
}

func listenAnd(address string, serve func(net.Listener) error) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return serve(listener)
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.echo)
	s.health.routes(mux)
	s.mood.routes(mux)
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil || code < 200 || code > 599 {
			code = http.StatusBadRequest
		}
		w.Header().Set("x-backend", s.name)
		w.WriteHeader(code)
	})
	// Every n-th request is answered, the others fail with the status.
	mux.HandleFunc("/flaky/{n}/{code}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.PathValue("n"), 10, 64)
		code, _ := strconv.Atoi(r.PathValue("code"))
		if n > 0 && code >= 400 && code < 600 && s.flaky.Add(1)%n != 0 {
			s.requests.Add(1)
			w.Header().Set("x-backend", s.name)
			w.WriteHeader(code)
			return
		}
		s.echo(w, r)
	})
	// The head and half of the response come at once, the rest after a while.
	mux.HandleFunc("/stall/{ms}", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		w.Header().Set("x-backend", s.name)
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(min(time.Duration(ms)*time.Millisecond, time.Minute))
		_, _ = io.WriteString(w, " and half")
	})
	mux.HandleFunc("/delay/{ms}", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		time.Sleep(min(time.Duration(ms)*time.Millisecond, time.Minute))
		s.echo(w, r)
	})
	mux.HandleFunc("/bytes/{count}", func(w http.ResponseWriter, r *http.Request) {
		count, _ := strconv.ParseInt(r.PathValue("count"), 10, 64)
		w.Header().Set("x-backend", s.name)
		_, _ = io.CopyN(w, zeros{}, min(count, 1<<30))
	})
	mux.HandleFunc("/mirror", mirror)
	mux.HandleFunc("/websocket", s.echoWebSocket)
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]int64{
			"requests": s.requests.Load(), "connections": s.connections.Load(),
			"deadlineMs": s.calls.deadlineMs.Load(), "cancelled": s.calls.cancelled.Load(),
		})
	})
	return mux
}

// echo answers with what arrived, so that a test sees the request as the application saw it.
func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	w.Header().Set("x-backend", s.name)
	if s.mood.refuses(w) || s.mood.serve(r.Context()) != nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	headers := map[string]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"name": s.name, "method": r.Method, "path": r.URL.Path, "host": r.Host, "proto": r.Proto, "remote": r.RemoteAddr,
		"headers": headers, "body": string(body),
	})
}

func (s *server) serveLines(listener net.Listener) error {
	return acceptAll(listener, func(conn net.Conn) {
		scanner := bufio.NewScanner(conn)
		for scanner.Scan() {
			s.requests.Add(1)
			if _, err := fmt.Fprintf(conn, "%s %s\n", s.name, scanner.Text()); err != nil {
				return
			}
		}
	})
}

func (s *server) serveBanner(listener net.Listener) error {
	return acceptAll(listener, func(conn net.Conn) {
		if _, err := fmt.Fprintf(conn, "220 %s ready\n", s.name); err != nil {
			return
		}
		scanner := bufio.NewScanner(conn)
		for scanner.Scan() {
			if _, err := fmt.Fprintf(conn, "250 %s\n", scanner.Text()); err != nil {
				return
			}
		}
	})
}

func (s *server) serveDatagrams(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 2048)
	for {
		length, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(fmt.Appendf(nil, "%s %s", s.name, buffer[:length]), from); err != nil {
			return err
		}
	}
}

func (s *server) serveMirror(listener net.Listener) error {
	return acceptAll(listener, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

func acceptAll(listener net.Listener, handle func(net.Conn)) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			handle(conn)
		}()
	}
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	clear(buffer)
	return len(buffer), nil
}
