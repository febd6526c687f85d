//! What `cargo xtask bench store` measures with.
//!
//! ```text
//! store_bench post URL TEXTS SPANS [agent]      posts spans by OTLP/HTTP, says how fast
//! store_bench post URL TEXTS SPANS alone        the same over one connection
//! store_bench fill FOLDER TEXTS SPANS           the same into a store, without a network
//! store_bench ask FOLDER SPANS                  times of questions to what was filled, warm and cold
//! store_bench look FOLDER TRACE                times of questions to what was posted
//! store_bench get URL...                        time of answers by HTTP
//! store_bench serve FOLDER                      takes spans by HTTP until standard input ends
//! store_bench visible URL FOLDER SECONDS RATE TEXTS   how soon what was answered can be read
//! ```

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for a benchmark: its figures go to stdout, and a failure ends it"
)]

mod ask;
mod fill;
mod load;
mod post;
mod serve;
mod visible;

use post::Way;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let figures = match arguments[..] {
        ["post", url, texts, spans] => post::post(url, Path::new(texts), number(spans), Way::Chats),
        ["post", url, texts, spans, "agent"] => {
            post::post(url, Path::new(texts), number(spans), Way::Agent)
        }
        ["post", url, texts, spans, "alone"] => {
            post::post(url, Path::new(texts), number(spans), Way::Alone)
        }
        ["fill", folder, texts, spans] => {
            fill::fill(Path::new(folder), Path::new(texts), number(spans))
        }
        ["serve", folder] => return serve::serve(Path::new(folder)),
        ["look", folder, trace] => ask::look(Path::new(folder), trace),
        ["get", ref urls @ ..] => post::get(urls),
        ["ask", folder, spans] => ask::ask(Path::new(folder), number(spans)),
        ["visible", url, folder, seconds, rate, texts] => visible::visible(
            url,
            Path::new(folder),
            number(seconds),
            number(rate),
            Path::new(texts),
        ),
        _ => panic!("see the top of the example for its arguments"),
    };
    println!("{figures}");
}
