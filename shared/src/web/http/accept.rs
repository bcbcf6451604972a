//! Which of several forms a caller would rather have (RFC 9110, section 12.5.1).

/// The weight that `accept` gives a media type, in thousandths: that of its most specific range.
pub fn quality(accept: &str, kind: &str, subtype: &str) -> u16 {
    let (exact, of_kind) = (format!("{kind}/{subtype}"), format!("{kind}/*"));
    let specificity = |range: &str| {
        [exact.as_str(), of_kind.as_str(), "*/*"]
            .iter()
            .position(|known| range.eq_ignore_ascii_case(known))
    };
    let weighed = accept.split(',').filter_map(|range| {
        let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
        Some((specificity(range.trim())?, weight(parameters)))
    });
    weighed
        .min_by_key(|(place, _)| *place)
        .map_or(0, |(_, weight)| weight)
}

fn weight(parameters: &str) -> u16 {
    let weight = parameters
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("q="));
    let Some((whole, fraction)) = weight.map(|text| text.split_once('.').unwrap_or((text, "")))
    else {
        return 1000;
    };
    if whole != "0" {
        return 1000;
    }
    format!("{fraction:0<3}")
        .get(..3)
        .and_then(|thousandths| thousandths.parse().ok())
        .unwrap_or(0)
}
