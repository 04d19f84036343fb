//! E-mail addresses in their one canonical form, used for every lookup and comparison.

use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization as _;

/// Longest address, RFC 5321.
const MAX_BYTES: usize = 254;
/// Longest local part, RFC 5321.
const MAX_LOCAL_BYTES: usize = 64;
/// Longest label of a domain, RFC 1035.
const MAX_LABEL_BYTES: usize = 63;

/// The canonical form: trimmed, NFKC, no byte order mark, domain in ASCII (punycode), all lower case. `None` when the
/// text is not an address.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    if text.len() > 4 * MAX_BYTES {
        return None;
    }
    let text: String = text.trim().nfkc().filter(|c| *c != '\u{feff}').collect();
    let (local, domain) = text.trim().rsplit_once('@')?;
    let local = local.to_lowercase();
    let domain = ascii_domain(&domain.to_lowercase())?;
    let address = format!("{local}@{domain}");
    (is_local_part(&local) && address.len() <= MAX_BYTES).then_some(address)
}

/// A dot-atom of RFC 5322 or any letters beyond ASCII; quoted local parts are not taken.
fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
        } else {
            c.is_alphanumeric()
        }
    };
    !local.is_empty()
        && local.len() <= MAX_LOCAL_BYTES
        && local.chars().all(allowed)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

/// The domain with every label in ASCII.
fn ascii_domain(domain: &str) -> Option<String> {
    let mut ascii = String::with_capacity(domain.len());
    for label in domain.split('.') {
        if !ascii.is_empty() {
            ascii.push('.');
        }
        if label.is_ascii() {
            ascii.push_str(label);
        } else {
            if !label
                .chars()
                .all(|c| c == '-' || c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c))
            {
                return None;
            }
            let _ = write!(ascii, "xn--{}", punycode(label)?);
        }
    }
    ascii.split('.').all(is_label).then_some(ascii)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= MAX_LABEL_BYTES
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// RFC 3492 section 6.3. `None` on overflow, which no label of a valid length reaches.
fn punycode(label: &str) -> Option<String> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let total = u32::try_from(label.chars().count()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (128u32, 0u32, 72u32, basic);
    while handled < total {
        let next = label.chars().map(u32::from).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled.checked_add(1)?)?)?;
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                let (mut q, mut k) = (delta, BASE);
                loop {
                    let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                    if q < t {
                        break;
                    }
                    output.push(digit(t + (q - t) % (BASE - t))?);
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                output.push(digit(q)?);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n = n.checked_add(1)?;
    }
    Some(output)
}

/// Letters come first: a is 0, z is 25, then the digits.
fn digit(value: u32) -> Option<char> {
    match value {
        0..=25 => char::from_u32(u32::from('a') + value),
        26..=35 => char::from_u32(u32::from('0') + value - 26),
        _ => None,
    }
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points.max(1);
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_addresses() {
        for (text, expected) in [
            ("  Alice@Example.ORG ", "alice@example.org"),
            ("\u{feff}alice@example.org", "alice@example.org"),
            ("ａlice@example.org", "alice@example.org"),
            ("al+tag@example.org", "al+tag@example.org"),
            ("user@Bücher.example", "user@xn--bcher-kva.example"),
            ("user@例え.テスト", "user@xn--r8jz45g.xn--zckzah"),
            ("user@localhost", "user@localhost"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.d",
            "a@b c",
            "a@b..c",
            "a@-b.c",
            "a@b-.c",
            ".a@b.c",
            "a.@b.c",
            "a..a@b.c",
            "<a@b.c>",
            "a@b.c\n",
            "a\0@b.c",
            "\"a\"@b.c",
            "a@b.c,d@e.f",
            "a@b@c.d",
            "a@[127.0.0.1]",
        ] {
            let expected = if text == "a@b.c\n" { Some("a@b.c".to_owned()) } else { None };
            assert_eq!(canonical(text), expected, "{text:?}");
        }
        assert_eq!(canonical(&format!("{}@b.c", "a".repeat(65))), None);
        assert_eq!(canonical(&format!("a@{}.c", "b".repeat(64))), None);
    }

    #[test]
    fn punycode_matches_the_samples_of_rfc_3492() {
        for (text, expected) in [
            ("ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"),
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
            ("Pročprostěnemluvíčesky", "Proprostnemluvesky-uyb24dma41a"),
            ("3年B組金八先生", "3B-ww4c5e180e575a65lsy2b"),
            ("ひとつ屋根の下2", "2-u9tlzr9756bt3uc0v"),
        ] {
            assert_eq!(punycode(text).as_deref(), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_a_fixed_point(text in "\\PC{1,12}@[\\PC.]{1,20}") {
            if let Some(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
                prop_assert!(once.len() <= MAX_BYTES);
                let domain = once.rsplit_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
                prop_assert!(domain.is_ascii());
            }
        }

        #[test]
        fn case_and_space_never_matter(local in "[a-z0-9]{1,20}", domain in "[a-z]{1,10}\\.[a-z]{2,5}") {
            let address = format!("{local}@{domain}");
            prop_assert_eq!(canonical(&format!(" {} ", address.to_uppercase())), Some(address));
        }
    }
}
