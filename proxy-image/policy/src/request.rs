//! The borrowed view of a request head that every decision is made on.

/// What policy and routing may see of a request. Implemented over httparse's and h2's heads, so both protocols decide alike.
pub trait RequestView {
    /// Case-sensitive, e.g. `GET`.
    fn method(&self) -> &str;

    /// As sent, without the query; not normalised.
    fn path(&self) -> &str;

    /// What follows the first `?`, without it.
    fn query(&self) -> Option<&str>;

    /// Every value of the header `name` (lower case), in the order sent.
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}
