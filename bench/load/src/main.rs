//! Load and applications of the bench. Every run is bounded by its seconds; every report is one line of JSON on standard output.
//!
//! `load serve-grpc LISTEN` · `load serve-echo LISTEN` · `load serve-held LISTEN COUNT`: applications, until they are killed.
//! `load grpc ADDRESS STREAMS SECONDS` · `load echo ADDRESS CONNECTIONS SECONDS`: closed loop.
//! `load rate ADDRESS PATH CONNECTIONS PER_SECOND SECONDS`: open loop, latency from the moment a request was due.
//! `load hold ADDRESS CONNECTIONS`: holds connections, sends on all of them at once when told to.

mod echo;
mod grpc;
mod hold;
mod http1;
mod latency;
mod rate;

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

type AnyError = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: load serve-grpc|serve-echo|serve-held|grpc|echo|rate|hold ...: see main.rs";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve-grpc", listen] => grpc::serve(listen).await,
        ["serve-echo", listen] => echo::serve(listen).await,
        ["serve-held", listen, count] => hold::serve(listen, number(count)?).await,
        ["grpc", address, streams, seconds] => grpc::run(address, number(streams)?, duration(seconds)?).await,
        ["echo", address, connections, seconds] => echo::run(address, number(connections)?, duration(seconds)?).await,
        ["rate", address, path, connections, per_second, seconds] => {
            rate::run(address, path, number(connections)?, number(per_second)?, duration(seconds)?)
        }
        ["hold", address, connections] => hold::run(address, number(connections)?).await,
        _ => Err(USAGE.into()),
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, AnyError> {
    text.parse().map_err(|_| format!("{text:?} is no number").into())
}

fn duration(seconds: &str) -> Result<Duration, AnyError> {
    Ok(Duration::try_from_secs_f64(number(seconds)?)?)
}
