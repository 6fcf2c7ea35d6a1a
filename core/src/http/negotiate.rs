//! Which format and which coding an answer takes: `Accept` and `Accept-Encoding` (RFC 9110, section 12.5).
//!
//! An element that cannot be read admits nothing and harms nothing; a header of nothing else admits nothing.

use http::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName};
use http::{HeaderMap, HeaderValue};

use crate::platform::Encoding;

use super::answer::HTML;
use super::catalogue::{Operation, Output};

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of MessagePack.
pub const MSGPACK: &str = "application/msgpack";
/// An older name of MessagePack's media type, which is understood and answered too.
pub const VND_MSGPACK: &str = "application/vnd.msgpack";
/// The media type of a problem in JSON.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The media type of a problem in MessagePack.
pub const PROBLEM_MSGPACK: &str = "application/problem+msgpack";

/// A format that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// JSON.
    Json,
    /// MessagePack, under the name that the client used.
    MessagePack(&'static str),
    /// What one operation alone knows how to write: text, HTML or bytes of this media type.
    Text(&'static str),
}

/// What a client takes, with its preferences; `None`: whatever there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Option<Vec<Range>>);

/// One element of `Accept`: a type, a family of types, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    /// In lower case, without parameters.
    pattern: String,
    weight: Weight,
}

/// A quality value in thousandths.
type Weight = u16;

/// How much a client wants something: its quality first, then how closely the client named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    weight: Weight,
    closeness: u8,
}

impl Media {
    /// The `Content-Type`.
    pub fn name(self) -> &'static str {
        match self {
            Media::Json => JSON,
            Media::MessagePack(name) | Media::Text(name) => name,
        }
    }

    /// Whether it is what only one operation knows how to write.
    pub fn is_text(self) -> bool {
        matches!(self, Media::Text(_))
    }

    /// Whether it is MessagePack, under whatever name.
    pub fn is_msgpack(self) -> bool {
        matches!(self, Media::MessagePack(_))
    }

    /// The word for it in an `ETag`: letters and digits of the subtype.
    pub fn tag(self) -> String {
        match self {
            Media::Json => "json".to_owned(),
            Media::MessagePack(_) => "msgpack".to_owned(),
            Media::Text(name) => {
                let subtype = essence(name).rsplit('/').next().unwrap_or_default();
                subtype.chars().filter(char::is_ascii_alphanumeric).collect()
            }
        }
    }
}

impl Accept {
    /// What the request says, or everything if it says nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = joined(headers, ACCEPT).filter(|text| !text.trim().is_empty());
        let read =
            |(pattern, weight): (&str, Weight)| Range { pattern: pattern.to_ascii_lowercase(), weight };
        Self(text.map(|text| weighted(&text).map(read).collect()))
    }

    /// The best of the offers for this client; among equals the one it named most closely, then the first.
    pub fn choose(&self, offers: &[Media]) -> Option<Media> {
        let mut best: Option<(Liking, Media)> = None;
        for offer in offers {
            let Some(liking) = self.liking(offer.name()) else { continue };
            if best.is_none_or(|(so_far, _)| liking > so_far) {
                best = Some((liking, *offer));
            }
        }
        best.map(|(_, media)| media)
    }

    /// The format of a problem, which is never refused: JSON unless the client prefers MessagePack.
    pub fn problem(&self) -> Media {
        let best = |names: &[&str]| names.iter().filter_map(|name| self.liking(name)).max();
        let json = best(&[PROBLEM_JSON, JSON]);
        let msgpack = best(&[PROBLEM_MSGPACK, MSGPACK, VND_MSGPACK]);
        if msgpack > json { Media::MessagePack(PROBLEM_MSGPACK) } else { Media::Json }
    }

    /// How much the client wants this type; none if it does not take it. The closest range counts.
    fn liking(&self, media_type: &str) -> Option<Liking> {
        let Some(ranges) = &self.0 else {
            return Some(Liking { weight: WEIGHT_MAX, closeness: 1 });
        };
        let wanted = essence(media_type);
        let family = wanted.split('/').next().unwrap_or_default();
        let closeness = |pattern: &str| match pattern.strip_suffix("/*") {
            Some("*") => Some(1),
            Some(range_family) => (range_family == family).then_some(2),
            None => (pattern == wanted).then_some(3),
        };
        let closest = ranges
            .iter()
            .filter_map(|range| Some(Liking { closeness: closeness(&range.pattern)?, weight: range.weight }))
            .max_by_key(|liking| (liking.closeness, liking.weight));
        closest.filter(|liking| liking.weight > 0)
    }
}

/// What an operation can answer with, its default first. Nothing where it answers without a body.
pub fn offers(operation: &Operation) -> Vec<Media> {
    let mut offers: Vec<Media> = Vec::new();
    for (_, output) in operation.success {
        let more: Vec<Media> = match output {
            Output::None => vec![],
            Output::Json(_) => {
                vec![Media::Json, Media::MessagePack(MSGPACK), Media::MessagePack(VND_MSGPACK)]
            }
            Output::Text(names) => names.iter().map(|name| Media::Text(name)).collect(),
            Output::Bytes(name) => vec![Media::Text(name)],
            Output::Html => vec![Media::Text(HTML)],
        };
        for media in more {
            if !offers.contains(&media) {
                offers.push(media);
            }
        }
    }
    offers
}

/// The coding for a body that is worth compressing; none is `identity`. Among equals the host's order counts.
pub fn choose_encoding(headers: &HeaderMap, offered: &[Encoding]) -> Option<Encoding> {
    let text = joined(headers, ACCEPT_ENCODING)?;
    let codings: Vec<(&str, Weight)> = weighted(&text).collect();
    let weight_of = |name: &str| {
        let named = codings.iter().find(|(coding, _)| is_coding(coding, name));
        named.or_else(|| codings.iter().find(|(coding, _)| *coding == "*")).map_or(0, |(_, weight)| *weight)
    };
    let identity = codings.iter().find(|(coding, _)| is_coding(coding, "identity")).map_or(0, |(_, w)| *w);
    let mut best: Option<(Weight, Encoding)> = None;
    for encoding in offered {
        let weight = weight_of(encoding.name());
        if weight > best.map_or(0, |(so_far, _)| so_far) {
            best = Some((weight, *encoding));
        }
    }
    best.filter(|(weight, _)| *weight >= identity).map(|(_, encoding)| encoding)
}

/// A media type without parameters.
pub fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// All lines of a list header as one; none if there is no such header or it is not text.
pub fn joined(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    (!lines.is_empty()).then(|| lines.join(","))
}

const WEIGHT_MAX: Weight = 1000;

/// The elements of a list with their quality values.
fn weighted(list: &str) -> impl Iterator<Item = (&str, Weight)> {
    list.split(',').filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut weight = WEIGHT_MAX;
        for part in parts {
            if let Some((key, value)) = part.split_once('=')
                && key.trim().eq_ignore_ascii_case("q")
            {
                weight = read_weight(value.trim())?;
            }
        }
        Some((name, weight))
    })
}

/// `0`, `1`, or either with up to three decimals, at most one.
fn read_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = decimals.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !digits {
        return None;
    }
    let weight = format!("{whole}{decimals:0<3}").parse().ok()?;
    (weight <= WEIGHT_MAX).then_some(weight)
}

fn is_coding(coding: &str, name: &str) -> bool {
    coding.eq_ignore_ascii_case(name) || (name == "gzip" && coding.eq_ignore_ascii_case("x-gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOT: &str = "text/vnd.graphviz; charset=utf-8";

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).expect("visible"));
        }
        headers
    }

    #[test]
    fn formats_are_chosen_by_quality_then_closeness_then_order() {
        let offers =
            [Media::Json, Media::MessagePack(MSGPACK), Media::MessagePack(VND_MSGPACK), Media::Text(DOT)];
        let json = Some(Media::Json);
        let msgpack = Some(Media::MessagePack(MSGPACK));
        let rows: &[(&[&str], Option<Media>)] = &[
            (&[], json),
            (&[""], json),
            (&["*/*"], json),
            (&["application/*"], json),
            (&["text/*"], Some(Media::Text(DOT))),
            (&["application/json"], json),
            (&["APPLICATION/JSON;charset=utf-8"], json),
            (&["application/msgpack"], msgpack),
            (&["application/vnd.msgpack"], Some(Media::MessagePack(VND_MSGPACK))),
            (&["application/msgpack, application/json"], json),
            (&["application/msgpack", "application/json;q=0.9"], msgpack),
            (&["application/json;q=0.5, application/msgpack;q=0.501"], msgpack),
            (&["application/json;q=0.2,*/*;q=0.1"], json),
            (&["*/*, application/msgpack"], msgpack),
            (&["*/*;q=0.8, application/json;q=0.1"], msgpack),
            (&["application/*;q=0, */*"], Some(Media::Text(DOT))),
            (&["application/json;q=0"], None),
            (&["text/html, image/png"], None),
            (&["application/json;q=2"], None),
            (&["application/json;q=0.1234"], None),
            (&["nonsense"], None),
            (&["nonsense, application/json;q=0.001"], json),
            (&["text/vnd.graphviz ; q=1.000"], Some(Media::Text(DOT))),
        ];
        for (lines, expected) in rows {
            assert_eq!(Accept::of(&headers("accept", lines)).choose(&offers), *expected, "{lines:?}");
        }
    }

    #[test]
    fn problems_are_json_unless_msgpack_is_preferred() {
        let msgpack = Media::MessagePack(PROBLEM_MSGPACK);
        let rows: &[(&[&str], Media)] = &[
            (&[], Media::Json),
            (&["application/msgpack"], msgpack),
            (&["application/vnd.msgpack"], msgpack),
            (&["application/problem+msgpack, application/json;q=0.9"], msgpack),
            (&["application/msgpack, application/json"], Media::Json),
            (&["application/msgpack, application/problem+json;q=0.5"], msgpack),
            (&["application/msgpack, */*;q=0.5"], msgpack),
            (&["text/html"], Media::Json),
        ];
        for (lines, expected) in rows {
            assert_eq!(Accept::of(&headers("accept", lines)).problem(), *expected, "{lines:?}");
        }
    }

    #[test]
    fn codings_are_chosen_by_quality_then_by_the_host() {
        use Encoding::{Brotli, Gzip, Zstd};
        let rows: &[(&[&str], &[Encoding], Option<Encoding>)] = &[
            (&[], &[Zstd, Gzip], None),
            (&[""], &[Zstd, Gzip], None),
            (&["gzip, deflate, br, zstd"], &[Zstd, Brotli, Gzip], Some(Zstd)),
            (&["gzip, br;q=0.9"], &[Zstd, Brotli, Gzip], Some(Gzip)),
            (&["gzip;q=0.5", "BR"], &[Gzip, Brotli], Some(Brotli)),
            (&["x-gzip"], &[Gzip], Some(Gzip)),
            (&["*"], &[Brotli, Gzip], Some(Brotli)),
            (&["*, br;q=0"], &[Brotli, Gzip], Some(Gzip)),
            (&["gzip;q=0"], &[Gzip], None),
            (&["gzip;q=0.5, identity"], &[Gzip], None),
            (&["identity;q=0.5, gzip;q=0.5"], &[Gzip], Some(Gzip)),
            (&["deflate"], &[Zstd, Gzip], None),
            (&["gzip"], &[], None),
        ];
        for (lines, offered, expected) in rows {
            let chosen = choose_encoding(&headers("accept-encoding", lines), offered);
            assert_eq!(chosen, *expected, "{lines:?}");
        }
    }

    #[test]
    fn media_types_have_a_word_for_the_etag() {
        for (media, tag) in [
            (Media::Json, "json"),
            (Media::MessagePack(VND_MSGPACK), "msgpack"),
            (Media::Text(HTML), "html"),
            (Media::Text(DOT), "vndgraphviz"),
        ] {
            assert_eq!(media.tag(), tag);
        }
    }
}
