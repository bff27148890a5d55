//! An application that takes RFC 9112 by the word and knows no leniency: whatever else arrives fails the test.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::app::App;
use crate::oracles::Requests;

/// Answers whatever is exactly one request with 200, and notes what is none.
pub async fn recorder(requests: Requests) -> App {
    App::start(move |mut stream| {
        let requests = requests.clone();
        async move {
            let (mut held, mut chunk) = (Vec::new(), [0; 16_384]);
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                held.extend_from_slice(&chunk[..count]);
                match framed(&held) {
                    Ok(Some(length)) if length == held.len() => {
                        requests.note(String::from_utf8_lossy(&held).lines().next().unwrap_or_default().to_owned());
                        held.clear();
                        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => {}
                    // As many answers as requests are expected, so this one shows.
                    other => {
                        requests.note(format!("{other:?} {:?}", String::from_utf8_lossy(&held)));
                        return;
                    }
                }
            }
        }
    })
    .await
}

/// Length of the request that `bytes` begin with; None while it is not whole.
pub fn framed(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let mut lines = lines(&bytes[..end])?.into_iter();
    request_line(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let values = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect()
    };
    if values("host").len() != 1 {
        return Err("not one host");
    }
    let body = end + 4;
    match (values("content-length")[..].as_ref(), values("transfer-encoding")[..].as_ref()) {
        ([], []) => Ok(Some(body)),
        ([length], []) if !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit()) => {
            let length: usize = length.parse().map_err(|_| "length")?;
            Ok((bytes.len() >= body + length).then_some(body + length))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => chunks(bytes, body),
        _ => Err("framing"),
    }
}

/// Everything between ends of lines, each of which is CR LF.
fn lines(head: &[u8]) -> Result<Vec<&str>, &'static str> {
    let text = std::str::from_utf8(head).map_err(|_| "not UTF-8, which the table knows no other form of")?;
    let lines: Vec<_> = text.split("\r\n").collect();
    match lines.iter().any(|line| line.contains(['\r', '\n', '\0'])) {
        true => Err("a bare CR or LF, or NUL"),
        false => Ok(lines),
    }
}

fn request_line(line: &str) -> Result<(), &'static str> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [method, target, "HTTP/1.1"] if is_token(method) && !target.is_empty() => Ok(()),
        _ => Err("request line"),
    }
}

fn field(line: &str) -> Result<(&str, &str), &'static str> {
    let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
    if is_token(name) { Ok((name, value.trim_matches([' ', '\t']))) } else { Err("name of a field") }
}

fn is_token(text: &str) -> bool {
    let special = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special(byte))
}

/// Chunks from `at` to the end of the trailers.
fn chunks(bytes: &[u8], mut at: usize) -> Result<Option<usize>, &'static str> {
    loop {
        let Some(length) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = lines(&bytes[at..at + length])?.concat();
        let size = line.split(';').next().unwrap_or_default();
        if size.is_empty() || !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("size of a chunk");
        }
        let size = usize::from_str_radix(size, 16).map_err(|_| "size of a chunk")?;
        at += length + 2;
        if size == 0 {
            return trailers(bytes, at);
        }
        match bytes.get(at + size..at + size + 2) {
            Some(b"\r\n") => at += size + 2,
            Some(_) => return Err("no line's end after a chunk"),
            None => return Ok(None),
        }
    }
}

fn trailers(bytes: &[u8], mut at: usize) -> Result<Option<usize>, &'static str> {
    loop {
        let Some(length) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = lines(&bytes[at..at + length])?.concat();
        at += length + 2;
        if line.is_empty() {
            return Ok(Some(at));
        }
        field(&line)?;
    }
}
