package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// webSocketSender holds a number of WebSockets and sends one message at a time on the next of them. One that has ended is not opened anew.
type webSocketSender struct {
	target string
	dialer *countingDialer
	next   atomic.Uint64
	held   []heldWebSocket
}

type heldWebSocket struct {
	mutex   sync.Mutex
	conn    *websocket.Conn
	backend string
}

func newWebSocketSender(spec loadSpec, dialer *countingDialer) *webSocketSender {
	return &webSocketSender{target: spec.Target, dialer: dialer, held: make([]heldWebSocket, spec.Connections)}
}

func (w *webSocketSender) send(ctx context.Context) outcome {
	held := &w.held[(w.next.Add(1)-1)%uint64(len(w.held))]
	held.mutex.Lock()
	defer held.mutex.Unlock()
	if held.conn == nil {
		dialer := websocket.Dialer{NetDialContext: w.dialer.DialContext}
		conn, response, err := dialer.DialContext(ctx, w.target, nil)
		if err != nil {
			return outcome{err: err, status: "error"}
		}
		held.conn, held.backend = conn, response.Header.Get("x-backend")
	}
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = time.Now().Add(10 * time.Second)
	}
	_ = held.conn.SetReadDeadline(deadline)
	_ = held.conn.SetWriteDeadline(deadline)
	if err := held.conn.WriteMessage(websocket.TextMessage, []byte("ping")); err != nil {
		return outcome{err: err, status: "closed"}
	}
	_, message, err := held.conn.ReadMessage()
	if err != nil {
		return outcome{err: err, status: "closed"}
	}
	if string(message) != "ping" {
		return outcome{err: fmt.Errorf("another message came back: %q", message), status: "closed"}
	}
	return outcome{backend: held.backend, status: "ok"}
}

func (w *webSocketSender) close() {
	for i := range w.held {
		if conn := w.held[i].conn; conn != nil {
			_ = conn.Close()
		}
	}
}
