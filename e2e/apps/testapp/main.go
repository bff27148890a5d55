// testapp is the application that the end-to-end tests mesh: a server that speaks HTTP/1.1, h2c, gRPC and bytes and names itself in every
// answer, and a client that sends bounded load and counts what became of it. It is written in Go so that the proxy meets protocol
// implementations that are not its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: testapp server|client|call|job|healthy [flags]"))
	}
	var err error
	switch os.Args[1] {
	case "server":
		err = serve(ctx, os.Args[2:])
	case "client":
		err = serveClient(ctx, os.Args[2:])
	case "call":
		err = callOnce(ctx, os.Args[2:])
	case "job":
		err = work(ctx, os.Args[2:])
	case "healthy":
		err = isHealthy(ctx, os.Args[2:])
	default:
		err = fmt.Errorf("no applet named %q", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "testapp:", err)
	os.Exit(1)
}
