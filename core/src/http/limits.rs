//! Every limit of the HTTP ring, each a named constant, so that one page answers "how much may I send?".

use crate::time::Duration;

/// The longest request target (path and query), in bytes; longer ones are 414.
pub const URL_BYTES_MAX: usize = 8 << 10;

/// The most header lines of a request; more are 431.
pub const HEADERS_MAX: usize = 100;

/// The longest header section of a request, in bytes of names and values; longer ones are 431.
pub const HEADERS_BYTES_MAX: usize = 32 << 10;

/// The longest `X-Request-Id` that is taken over, in bytes; others are replaced by one of our own.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// The longest `Idempotency-Key`, in bytes; longer ones are 400.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// The shortest body that is worth compressing, in bytes.
pub const COMPRESSED_BYTES_MIN: usize = 1 << 10;

/// The most faults that one problem lists; the detail says how many there were.
pub const ERRORS_MAX: usize = 100;

/// The largest `limit` of a page.
pub const PAGE_ITEMS_MAX: u32 = 1000;

/// The `limit` of a page when none is given.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;

/// What `Retry-After` says when nothing better is known.
pub const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
