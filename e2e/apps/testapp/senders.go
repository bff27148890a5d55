package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// countingDialer counts the connections that a run makes.
type countingDialer struct {
	net.Dialer
	count atomic.Int64
}

func (d *countingDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.count.Add(1)
	return d.Dialer.DialContext(ctx, network, address)
}

func newSender(spec loadSpec, dialer *countingDialer) (sender, error) {
	switch spec.Protocol {
	case "http1", "http2":
		transport := newTransport(spec.Protocol == "http2", spec.Connections)
		transport.DialContext = dialer.DialContext
		return &httpSender{spec: spec, transport: transport, client: &http.Client{Transport: transport, CheckRedirect: noRedirect}}, nil
	case "grpc", "grpc-stream":
		return newGrpcSender(spec, dialer)
	case "websocket":
		return newWebSocketSender(spec, dialer), nil
	case "tcp":
		return &tcpSender{target: spec.Target}, nil
	case "banner":
		return &bannerSender{target: spec.Target}, nil
	case "tcp-hold":
		return &heldSender{target: spec.Target}, nil
	}
	return nil, fmt.Errorf("no protocol named %q", spec.Protocol)
}

type httpSender struct {
	spec      loadSpec
	transport *http.Transport
	client    *http.Client
}

func (h *httpSender) send(ctx context.Context) outcome {
	request, err := http.NewRequestWithContext(ctx, h.spec.Method, h.spec.Target, strings.NewReader(h.spec.Body))
	if err != nil {
		return outcome{err: err}
	}
	for name, value := range h.spec.Headers {
		request.Header.Set(name, value)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return outcome{err: err, status: "error"}
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return outcome{err: err, status: "error"}
	}
	result := outcome{backend: response.Header.Get("x-backend"), status: fmt.Sprint(response.StatusCode)}
	if response.StatusCode >= 400 {
		result.err = fmt.Errorf("status %d %s", response.StatusCode, response.Header.Get("weft-error"))
	}
	return result
}

func (h *httpSender) close() { h.transport.CloseIdleConnections() }

type grpcSender struct {
	channels []*grpc.ClientConn
	next     atomic.Uint64
	stream   bool
}

func newGrpcSender(spec loadSpec, dialer *countingDialer) (*grpcSender, error) {
	g := &grpcSender{stream: spec.Protocol == "grpc-stream"}
	dial := grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	})
	for range spec.Connections {
		channel, err := grpc.NewClient("passthrough:///"+spec.Target, dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		g.channels = append(g.channels, channel)
	}
	return g, nil
}

func (g *grpcSender) send(ctx context.Context) outcome {
	channel := g.channels[g.next.Add(1)%uint64(len(g.channels))]
	reply := new(wrapperspb.StringValue)
	var err error
	if g.stream {
		err = g.exchange(ctx, channel, reply)
	} else {
		err = channel.Invoke(ctx, unaryMethod, wrapperspb.String("x"), reply)
	}
	return outcome{backend: reply.GetValue(), status: status.Code(err).String(), err: err}
}

// exchange is one message each way on a stream of its own.
func (g *grpcSender) exchange(ctx context.Context, channel *grpc.ClientConn, reply *wrapperspb.StringValue) error {
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, streamMethod)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(wrapperspb.String("x")); err != nil && err != io.EOF {
		return err
	}
	if err := stream.RecvMsg(reply); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF {
		return fmt.Errorf("the stream did not end as it should: %w", err)
	}
	return nil
}

func (g *grpcSender) close() {
	for _, channel := range g.channels {
		_ = channel.Close()
	}
}

// tcpSender opens a connection for every line.
type tcpSender struct{ target string }

func (t *tcpSender) send(ctx context.Context) outcome {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.target)
	if err != nil {
		return outcome{err: err, status: "error"}
	}
	defer conn.Close()
	return line(ctx, conn, bufio.NewReader(conn))
}

func (t *tcpSender) close() {}

// bannerSender opens a connection and keeps silent until the server has spoken.
type bannerSender struct{ target string }

func (b *bannerSender) send(ctx context.Context) outcome {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.target)
	if err != nil {
		return outcome{err: err, status: "error"}
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return outcome{err: err, status: "closed"}
	}
	words := strings.Fields(text)
	if len(words) < 2 || words[0] != "220" {
		return outcome{err: fmt.Errorf("no greeting: %q", text), status: "closed"}
	}
	return outcome{backend: words[1], status: "ok"}
}

func (b *bannerSender) close() {}

// heldSender sends all its lines over one connection and says so when that ends; it does not connect anew.
type heldSender struct {
	target string
	mutex  sync.Mutex
	conn   net.Conn
	reader *bufio.Reader
}

func (h *heldSender) send(ctx context.Context) outcome {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.target)
		if err != nil {
			return outcome{err: err, status: "error"}
		}
		h.conn, h.reader = conn, bufio.NewReader(conn)
	}
	return line(ctx, h.conn, h.reader)
}

func (h *heldSender) close() {
	if h.conn != nil {
		_ = h.conn.Close()
	}
}

func line(ctx context.Context, conn net.Conn, reader *bufio.Reader) outcome {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	} else {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	}
	if _, err := fmt.Fprintln(conn, "ping"); err != nil {
		return outcome{err: err, status: "closed"}
	}
	text, err := reader.ReadString('\n')
	if err != nil {
		return outcome{err: err, status: "closed"}
	}
	name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return outcome{backend: name, status: "ok"}
}
