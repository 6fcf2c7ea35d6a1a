//! The known name nearest to a mistyped one, for "did you mean".
//!
//! The distance counts an inserted, dropped or changed character and two neighbours swapped as one each
//! (optimal string alignment), because those are the slips that fingers make.

/// Longer names, in characters, are neither corrected nor suggested: nobody types them.
const NAME_CHARS_MAX: usize = 64;
/// How many known names are looked at, so that a fault costs little whatever the document.
const KNOWN_MAX: usize = 1_000;
/// Slips that are forgiven in a short name; a long one is forgiven a third of its length.
const SLIPS: usize = 2;

/// The known name that is at most two slips (or a third of the length) away from `name`, the first of the
/// nearest; none where every character would have to change.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = characters(name)?;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in known.take(KNOWN_MAX) {
        let Some(letters) = characters(candidate) else { continue };
        let length = name.len().max(letters.len());
        let allowed = SLIPS.max(length / 3).min(length.saturating_sub(1));
        let limit = best.map_or(allowed, |(distance, _)| allowed.min(distance.saturating_sub(1)));
        if let Some(distance) = distance(&name, &letters, limit)
            && best.is_none_or(|(shortest, _)| distance < shortest)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn characters(name: &str) -> Option<Vec<char>> {
    if name.len() > NAME_CHARS_MAX * 4 {
        return None;
    }
    let letters: Vec<char> = name.chars().collect();
    (letters.len() <= NAME_CHARS_MAX).then_some(letters)
}

/// The distance between two names, if it is at most `limit`.
fn distance(left: &[char], right: &[char], limit: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        let hopeless = |costs: &[usize]| costs.iter().all(|&cost| cost > limit);
        if hopeless(&row) && hopeless(&last) {
            return None;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.pop().filter(|&cost| cost <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none_is_near() {
        let rows: &[(&str, &[&str], Option<&str>)] = &[
            ("quantitty", &["quality", "quantity"], Some("quantity")),
            ("tiemout", &["timeout", "total_timeout"], Some("timeout")),
            ("retries", &["retry", "tries"], Some("tries")),
            ("neds", &["needs", "name"], Some("needs")),
            ("NAME", &["name"], None),
            ("id", &["if"], Some("if")),
            ("a", &["b"], None),
            ("ab", &["cd"], None),
            ("", &["a"], None),
            ("continue_on_failure", &["continue_on_error"], Some("continue_on_error")),
            ("totally_else", &["needs", "worker"], None),
            ("größe", &["grösse", "große"], Some("große")),
            ("same", &["sane", "same"], Some("same")),
            ("abcd", &["abce", "abcf"], Some("abce")),
        ];
        for (name, known, expected) in rows {
            assert_eq!(nearest(name, known.iter().copied()), *expected, "{name}");
        }
    }

    #[test]
    fn the_limits_hold_at_their_edges() {
        let long = "x".repeat(NAME_CHARS_MAX);
        let longer = "x".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), Some(long.as_str()));
        assert_eq!(nearest(&longer, [long.as_str()].into_iter()), None);
        let far: Vec<&str> = std::iter::repeat_n("elsewhere", KNOWN_MAX - 1).chain(["name"]).collect();
        assert_eq!(nearest("nane", far.iter().copied()), Some("name"));
        assert_eq!(nearest("nane", ["elsewhere"].into_iter().chain(far.iter().copied())), None);
    }
}
