package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The echo service, described by hand over a well-known message so that no generated code is needed.
const (
	unaryMethod  = "/weft.test.Echo/Unary"
	streamMethod = "/weft.test.Echo/Stream"
)

var echoService = grpc.ServiceDesc{
	ServiceName: "weft.test.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: handleUnary}},
	Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: handleStream, ServerStreams: true, ClientStreams: true}},
}

// calls is what a server has seen of its callers' patience.
type calls struct {
	// What was left of the deadline of the last call when it arrived; 0: it had none.
	deadlineMs atomic.Int64
	// Calls whose streams were reset before they were answered.
	cancelled atomic.Int64
}

func (c *calls) begin(ctx context.Context) {
	deadline, limited := ctx.Deadline()
	if !limited {
		c.deadlineMs.Store(0)
		return
	}
	c.deadlineMs.Store(time.Until(deadline).Milliseconds())
}

func handleUnary(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	s := srv.(*server)
	request := new(wrapperspb.StringValue)
	if err := decode(request); err != nil {
		return nil, err
	}
	s.requests.Add(1)
	s.calls.begin(ctx)
	if err := s.mood.rpcError(ctx); err != nil {
		return nil, err
	}
	if err := s.mood.serve(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			s.calls.cancelled.Add(1)
		}
		return nil, status.FromContextError(err).Err()
	}
	return wrapperspb.String(s.name), nil
}

func handleStream(srv any, stream grpc.ServerStream) error {
	s := srv.(*server)
	for {
		request := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		s.requests.Add(1)
		if err := stream.SendMsg(wrapperspb.String(s.name)); err != nil {
			return err
		}
	}
}
