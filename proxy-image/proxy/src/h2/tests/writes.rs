//! How many writes a request costs.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::*;
use crate::h2::UNASKED;
use crate::h2::body::{Source, copy};

/// A pipe whose writes are counted.
struct Counted(DuplexStream, Rc<Cell<usize>>);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A client, and the bodies of its requests as they arrive at a server that has `window` bytes of room for each and answers at once.
async fn linked(
    window: u32,
) -> (SendRequest<Bytes>, tokio::sync::mpsc::UnboundedReceiver<RecvStream>, Rc<Cell<usize>>) {
    let (ours, theirs) = duplex(64 * 1024);
    let writes = Rc::new(Cell::new(0));
    let (arrived, bodies) = tokio::sync::mpsc::unbounded_channel();
    spawn_local(async move {
        let mut builder = ::h2::server::Builder::new();
        let mut connection = builder.initial_window_size(window).handshake::<_, Bytes>(theirs).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            respond.send_response(Response::new(()), true).unwrap();
            arrived.send(request.into_body()).unwrap();
        }
    });
    let (sender, driver) = ::h2::client::handshake(Counted(ours, Rc::clone(&writes))).await.unwrap();
    spawn_local(async move {
        let _ = driver.await;
    });
    let mut sender = sender.ready().await.unwrap();
    // Both know each other's settings once a request has been answered.
    sender.send_request(get("/"), true).unwrap().0.await.unwrap();
    let mut bodies = bodies;
    drop(bodies.recv().await.unwrap());
    (sender, bodies, writes)
}

/// A body of `chunks` that has come already, whole.
async fn received(chunks: &[usize]) -> RecvStream {
    let (mut sender, mut bodies, _) = linked(65_535).await;
    let (_, mut upload) = sender.send_request(grpc(), false).unwrap();
    for (index, size) in chunks.iter().enumerate() {
        upload.send_data(Bytes::from(vec![7; *size]), index + 1 == chunks.len()).unwrap();
    }
    let mut body = bodies.recv().await.unwrap();
    let total: usize = chunks.iter().sum();
    until("the body is there", || body.flow_control().used_capacity() == total).await;
    body
}

#[tokio::test]
async fn a_head_and_a_small_message_go_upstream_in_one_write() {
    local(async {
        for (chunks, want) in [(&[17][..], 1), (&[UNASKED], 1), (&[UNASKED + 1], 2)] {
            let mut body = Source::once(received(chunks).await);
            let (mut sender, mut bodies, writes) = linked(65_535).await;
            let before = writes.get();
            let (response, mut upload) = sender.send_request(grpc(), false).unwrap();
            copy(&mut body, &mut upload, &Cell::new(0)).await.unwrap();
            response.await.unwrap();
            drain(&mut bodies.recv().await.unwrap()).await;
            assert_eq!(writes.get() - before, want, "{chunks:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_without_room_takes_no_more_than_what_goes_with_its_head() {
    local(async {
        for (chunks, want) in [(&[UNASKED, 1][..], UNASKED), (&[UNASKED + 1], 0), (&[1, 1], 1)] {
            let mut body = Source::once(received(chunks).await);
            let (mut sender, mut bodies, _) = linked(0).await;
            let (_response, mut upload) = sender.send_request(grpc(), false).unwrap();
            let passed = Cell::new(0);
            let mut arrived = {
                let mut copying = std::pin::pin!(copy(&mut body, &mut upload, &passed));
                let arrived = tokio::select! {
                    arrived = bodies.recv() => arrived.unwrap(),
                    sent = &mut copying => panic!("{sent:?} without room"),
                };
                assert!(timeout(Duration::from_millis(100), &mut copying).await.is_err());
                assert_eq!(usize::try_from(passed.get()).unwrap(), want, "{chunks:?}");
                arrived
            };
            assert_eq!(arrived.flow_control().used_capacity(), 0, "nothing goes past the receiver's window");
        }
    })
    .await;
}
