package main

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"
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

func handleUnary(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	s := srv.(*server)
	request := new(wrapperspb.StringValue)
	if err := decode(request); err != nil {
		return nil, err
	}
	s.requests.Add(1)
	time.Sleep(time.Duration(s.delay.Load()))
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
