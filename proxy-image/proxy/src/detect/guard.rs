//! The first line of a client that was too slow to be judged by it, watched while its bytes already pass.

use super::{LIMIT, Verdict, judge};

/// What may be done with a piece of a first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// To be passed on; the next piece is to be asked about too.
    Watched,
    /// To be passed on, and so is all that follows.
    Free,
    /// The line is HTTP's: neither this piece nor anything after it may pass.
    Http,
}

/// The line as far as it has come. Holds up to [`LIMIT`] bytes and the piece that exceeds it.
#[derive(Debug, Default)]
pub struct FirstLine {
    seen: Vec<u8>,
}

impl FirstLine {
    /// Judges the line with its next piece, by the rule that decides on lines that come in time. The piece that completes an HTTP line is the
    /// one refused, so no header field after it is ever passed on.
    #[must_use]
    pub fn next(&mut self, piece: &[u8]) -> Piece {
        self.seen.extend_from_slice(piece);
        debug_assert!(self.seen.len() < LIMIT + piece.len().max(1), "decided at the limit");
        match judge(&self.seen) {
            Verdict::Undecided => Piece::Watched,
            Verdict::Http1 | Verdict::Http2 => Piece::Http,
            Verdict::Bytes | Verdict::Tls | Verdict::MeshTls => Piece::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FirstLine, LIMIT, Piece};

    fn judged(pieces: &[&[u8]]) -> Vec<Piece> {
        let mut line = FirstLine::default();
        pieces.iter().map(|piece| line.next(piece)).collect()
    }

    #[test]
    fn the_piece_that_makes_it_http_is_refused_however_the_line_is_cut() {
        let line = b"\r\nget /x HTTP/1.1\r\nweft-client-id: forged\r\n\r\n";
        let end = line.windows(4).position(|four| four == b"1.1\r").unwrap() + 3;
        for cut in 1..end {
            let (first, rest) = line.split_at(cut);
            assert_eq!(judged(&[first, rest]), [Piece::Watched, Piece::Http], "cut at {cut}");
        }
        let mut one_by_one = FirstLine::default();
        let refused = line.iter().position(|byte| one_by_one.next(&[*byte]) == Piece::Http);
        assert_eq!(refused, Some(end), "refused with the line's end, before any header field");
        assert_eq!(judged(&[b"PRI * HTTP/2.0\r\n", b"\r\nSM\r\n\r\n"]).last(), Some(&Piece::Http));
    }

    #[test]
    fn other_lines_go_free_and_endless_ones_are_not_held() {
        assert_eq!(judged(&[b"ru", b"ok"]), [Piece::Watched, Piece::Watched]);
        assert_eq!(judged(&[b"ruok", b"\n"]), [Piece::Watched, Piece::Free]);
        assert_eq!(judged(&[b"set", b" key 0 0 1\r\n"]), [Piece::Watched, Piece::Free]);
        assert_eq!(judged(&[b"get", &[b'a'; LIMIT]]), [Piece::Watched, Piece::Http]);
    }
}
