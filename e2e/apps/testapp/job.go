package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// work is `testapp job`: what a Job does. It calls, may leave connections behind as careless programs do, and ends with the code it was told.
func work(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("job", flag.ContinueOnError)
	url := flags.String("call", "", "a request whose answer must be 200")
	halfClosed := flags.String("half-closed", "", "host:port of a connection on which sending is shut down and which is then forgotten")
	open := flags.String("open", "", "host:port of a connection that is never closed")
	sleep := flags.Duration("sleep", 0, "how long the work takes; SIGTERM does not shorten it")
	code := flags.Int("exit", 0, "exit code")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *url != "" {
		if result := (callSpec{URL: *url}).do(ctx); result.Status != http.StatusOK {
			return fmt.Errorf("%s: status %d %s", *url, result.Status, result.Error)
		}
	}
	for _, target := range []string{*halfClosed, *open} {
		if target == "" {
			continue
		}
		conn, err := net.Dial("tcp", target)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(conn, "left behind"); err != nil {
			return err
		}
		if target == *halfClosed {
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				return err
			}
		}
	}
	time.Sleep(*sleep)
	os.Exit(*code)
	return nil
}
