//! The least that a proxy can do: hyper in, hyper out, a connection to the server for each client.

use anyhow::Result;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

pub(crate) async fn run(listener: TcpListener, server: SocketAddr) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        let upstream = TcpStream::connect(server).await?;
        upstream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(upstream)).await?;
        Handle::current().spawn(async move { drop(driver.await) });
        let sender = Arc::new(Mutex::new(sender));
        let pass = service_fn(move |request| pass(sender.clone(), request));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(client), pass);
        Handle::current().spawn(async move { drop(serving.await) });
    }
}

async fn pass(
    sender: Arc<Mutex<SendRequest<Incoming>>>,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper::Error> {
    let mut sender = sender.lock().await;
    sender.ready().await?;
    sender.send_request(request).await
}
