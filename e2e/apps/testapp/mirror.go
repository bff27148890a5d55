package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// mirror sends every byte back as it comes, after a 103, and ends with trailers: the SHA-256 of the bytes and the request's own trailers. With `?length` it says the
// request's length instead of those, so that HTTP/1.1 frames the response by it.
func mirror(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// HTTP/1.1 would read the whole request before the first byte of the response goes out. HTTP/2 need not be told.
	_ = control.EnableFullDuplex()
	w.Header().Set("link", "</style.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("link")
	if r.URL.Query().Has("length") {
		w.Header().Set("content-length", strconv.FormatInt(r.ContentLength, 10))
	} else {
		w.Header().Set("trailer", "x-sha256, x-request-trailers")
	}
	w.WriteHeader(http.StatusOK)
	_ = control.Flush()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), r.Body); err != nil {
		// The client learns that this is not the end.
		panic(http.ErrAbortHandler)
	}
	var trailers []string
	for name, values := range r.Trailer {
		trailers = append(trailers, strings.ToLower(name)+"="+strings.Join(values, ","))
	}
	w.Header().Set("x-sha256", hex.EncodeToString(hash.Sum(nil)))
	w.Header().Set("x-request-trailers", strings.Join(trailers, ";"))
}

// echoWebSocket sends every message back as what it was, text or binary; the handshake says who does.
func (s *server) echoWebSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"echo.weft"}}
	conn, err := upgrader.Upgrade(w, r, http.Header{"X-Backend": {s.name}})
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			return
		}
	}
}
