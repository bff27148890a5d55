//! The cases.

/// One connection's bytes; a well-formed request follows them.
pub struct Case {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// The statuses that Weft's client sees.
    pub weft: &'static str,
    /// More than one request is sent on purpose.
    pub pipelined: bool,
    /// Why Weft serves what nginx or hyper refuses.
    pub why: Option<&'static str>,
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, weft: &'static str) -> Case {
    Case { name, bytes: bytes.into(), weft, pipelined: false, why: None }
}

fn because(why: &'static str, case: Case) -> Case {
    Case { why: Some(why), ..case }
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn to(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// What somebody would smuggle.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[allow(clippy::too_many_lines, reason = "a table")]
pub fn cases() -> Vec<Case> {
    let after_chunks = format!("0\r\n\r\n{SMUGGLED}");
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", after_chunks.len());
    let fields = |count: usize| (0..count).map(|index| format!("X-{index}: 1\r\n")).collect::<String>();
    vec![
        // Well-formed.
        case("GET", get(""), "200 200"),
        case("a body of a length", post("Content-Length: 2\r\n", "ok"), "200 200"),
        case("a body in chunks", chunked("2\r\nok\r\n0\r\n\r\n"), "200 200"),
        case("a body of GET", get("Content-Length: 2\r\n") + "ok", "200 200"),
        case("a body of HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", "200 200"),
        case(
            "a request in a body of a length",
            post(&format!("Content-Length: {}\r\n", SMUGGLED.len()), SMUGGLED),
            "200 200",
        ),
        case("a request in a chunk", chunked(&format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len())), "200 200"),
        Case { pipelined: true, ..case("two requests", get("") + SMUGGLED, "200 200 200") },
        // Lengths.
        case("the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ok"), "400"),
        case("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "ok"), "400"),
        case("two lengths, the longer first", post("Content-Length: 38\r\nContent-Length: 0\r\n", SMUGGLED), "400"),
        case("a list of lengths", post("Content-Length: 2, 2\r\n", "ok"), "400"),
        case("a signed length", post("Content-Length: +2\r\n", "ok"), "400"),
        case("a negative length", post("Content-Length: -2\r\n", "ok"), "400"),
        case("a hexadecimal length", post("Content-Length: 0x2\r\n", "ok"), "400"),
        case("a length with a fraction", post("Content-Length: 2.0\r\n", "ok"), "400"),
        case("an empty length", post("Content-Length:\r\n", "ok"), "400"),
        case("a length of zeros", post("Content-Length: 00\r\n", ""), "200 200"),
        case("a length past 64 bits", post("Content-Length: 18446744073709551618\r\n", "ok"), "400"),
        case("a length with a space inside", post("Content-Length: 1 2\r\n", "ok"), "400"),
        case("a length with a space before its colon", post("Content-Length : 2\r\n", "ok"), "400"),
        // Codings.
        case("a length and a coding", post(&both, &after_chunks), "400"),
        case("a coding and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), "400"),
        case("a coding in other letters", post("Transfer-Encoding: ChunKed\r\n", "0\r\n\r\n"), "200 200"),
        because(
            "RFC 9112 5: white space before a value, a tab too, is no part of it",
            case("a coding after a tab", post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"), "200 200"),
        ),
        case("a coding with a space before its colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400"),
        case("a coding after a vertical tab", post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"), "400"),
        case("a coding in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "400"),
        case("a coding that is nearly chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400"),
        case("chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), "400"),
        case("chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "400"),
        case(
            "chunked in two fields",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            "400",
        ),
        case("chunked before another coding", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "400"),
        case("another coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"),
        case(
            "a second field of codings that is not chunked",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n"),
            "400",
        ),
        case("identity", post("Transfer-Encoding: identity\r\n", ""), "400"),
        case("an empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "400"),
        case("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), "400"),
        case(
            "a coding of HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        case("a coding behind a bare LF", post("X: 1\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"),
        case("a coding behind a bare CR", post("X: 1\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"),
        case(
            "a coding that Connection would drop",
            post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            "200 200",
        ),
        case(
            "a length that Connection would drop",
            post("Connection: content-length\r\nContent-Length: 2\r\n", "ok"),
            "200 200",
        ),
        // Chunks.
        case("a chunk extension", chunked("2;name=\"value\"\r\nok\r\n0\r\n\r\n"), "200 200"),
        case("a size in capital letters", chunked("A\r\n0123456789\r\n0\r\n\r\n"), "200 200"),
        case("a size with zeros before it", chunked("002\r\nok\r\n0\r\n\r\n"), "200 200"),
        case("a trailer", chunked("0\r\nX-Sum: 1\r\n\r\n"), "200 200"),
        case("a trailer without a colon", chunked("0\r\nX-Sum\r\n\r\n"), "400"),
        case("a size with 0x", chunked("0x2\r\nok\r\n0\r\n\r\n"), "400"),
        case("a size with a sign", chunked("+2\r\nok\r\n0\r\n\r\n"), "400"),
        case("a size below nothing", chunked("-1\r\nok\r\n0\r\n\r\n"), "400"),
        case("no size", chunked("\r\nok\r\n0\r\n\r\n"), "400"),
        case("a size past 64 bits", chunked("10000000000000002\r\nok\r\n0\r\n\r\n"), "400"),
        case("a size behind a space", chunked(" 2\r\nok\r\n0\r\n\r\n"), "400"),
        case("a size before a space", chunked("2 \r\nok\r\n0\r\n\r\n"), "400"),
        case("a size before a bare LF", chunked("2\nok\r\n0\r\n\r\n"), "400"),
        case("a size before a bare CR", chunked("2\rok\r\n0\r\n\r\n"), "400"),
        case(
            "a bare LF in an extension",
            chunked(&format!("2;\nxx\r\n{:x}\r\n0\r\n\r\n{SMUGGLED}0\r\n\r\n", SMUGGLED.len())),
            "400",
        ),
        case("a chunk that is longer than its size", chunked("2\r\nokay\r\n0\r\n\r\n"), "400"),
        case("a chunk without its line's end", chunked("2\r\nok0\r\n\r\n"), "400"),
        // Lines.
        case("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", "400"),
        case("a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
        case("a bare LF after a field", get("X: 1\n"), "400"),
        case("a bare CR in a value", get("X: 1\r2\r\n"), "400"),
        case("a bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400"),
        case("CR CR LF", get("X: 1\r\r\n"), "400"),
        case("a folded value", get("X: 1\r\n 2\r\n"), "400"),
        case("a folded first field", "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n", "400"),
        case("a field without a colon", get("X\r\n"), "400"),
        case("a field without a name", get(": 1\r\n"), "400"),
        case("a space before a colon", get("X : 1\r\n"), "400"),
        case("a space in a name", get("X Y: 1\r\n"), "400"),
        case("a slash in a name", get("X/Y: 1\r\n"), "400"),
        case("NUL in a name", get("X\0: 1\r\n"), "400"),
        case("NUL in a value", get("X: 1\x002\r\n"), "400"),
        case("DEL in a value", get("X: 1\x7f2\r\n"), "400"),
        case("a tab in a value", get("X: 1\t2\r\n"), "200 200"),
        case("bytes past ASCII in a value", get("X: \u{e4}\r\n"), "200 200"),
        case("an empty line before the request", "\r\n".to_owned() + &get(""), "200 200"),
        // Hosts.
        case("no Host", "GET / HTTP/1.1\r\n\r\n", "400"),
        case("two Hosts", get("Host: b\r\n"), "400"),
        case("the same Host twice", get("Host: a\r\n"), "400"),
        case("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
        case("a Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
        case("a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        because(
            "RFC 9112 3.2: Host is empty where the target has no authority",
            case("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "200 200"),
        ),
        case("HTTP/1.0 without Host", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200 200"),
        // Targets.
        case("an absolute target", to("http://a/"), "200 200"),
        case("an absolute target for another Host", to("http://b/"), "200 200"),
        case("an absolute target with a user", to("http://u@a/"), "400"),
        case("an absolute target of another scheme", to("ftp://a/"), "400"),
        case("an absolute target without a host", to("http:///"), "400"),
        case("an authority for GET", to("a:80"), "400"),
        case("an asterisk for GET", to("*"), "400"),
        case("a target without a slash", to("x"), "400"),
        case("a target with a space", to("/a b"), "505"),
        case("a target with a tab", to("/a\tb"), "400"),
        case("a target with NUL", to("/a\0b"), "400"),
        case("a target with a fragment", to("/a#b"), "200 200"),
        case("a target past ASCII", to("/\u{e4}"), "200 200"),
        case("a target of 8 kB", to(&format!("/{}", "a".repeat(8_000))), "200 200"),
        // Methods and versions.
        because(
            "RFC 9110 9.1: a method is any token, and its case counts",
            case("a method in lower case", get("").replace("GET", "get"), "200 200"),
        ),
        case("a method with a dash", get("").replace("GET", "M-SEARCH"), "200 200"),
        case("a method with a bracket", get("").replace("GET", "G(ET"), "400"),
        case("HTTP/1.2", get("").replace("1.1", "1.2"), "505"),
        case("HTTP/2.0", get("").replace("1.1", "2.0"), "505"),
        case("HTTP in lower case", get("").replace("HTTP", "http"), "505"),
        case("a version with a zero before it", get("").replace("1.1", "01.1"), "505"),
        case("a word after the version", get("").replace("1.1", "1.1 x"), "400"),
        case("two spaces", get("").replace("GET /", "GET  /"), "400"),
        case("a tab between method and target", get("").replace("GET /", "GET\t/"), "400"),
        case("HTTP/0.9", "GET /\r\n", "400"),
        // Sizes and extensions.
        // The server's proxy adds one, and hyper has room for a hundred as Weft has.
        case("ninety-nine fields", get(&fields(98)), "200 200"),
        case("more than a hundred fields", get(&fields(100)), "431"),
        case("ten thousand fields", get(&fields(10_000)), "431"),
        case("a value of 70 kB", get(&format!("X: {}\r\n", "a".repeat(70_000))), "431"),
        case("an expectation that nobody knows", get("Expect: miracles\r\n"), "200 200"),
        case(
            "an upgrade with a request behind it",
            get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n"),
            "200 200",
        ),
    ]
}
