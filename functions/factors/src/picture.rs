//! The QR code of an app's URI, as SVG: sharp at any size, and text in a JSON answer.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use shared::kernel::secret::Secret;
use shared::web::http::Problem;

/// The least edge, in pixels.
const EDGE: u32 = 240;

/// Draws `uri`.
pub fn draw(uri: &Secret<String>) -> Result<Secret<String>, Problem> {
    let code = QrCode::with_error_correction_level(uri.expose(), EcLevel::M);
    let code = code.map_err(|_| Problem::internal("drawing a QR code", "the URI is too long"))?;
    let drawn = code
        .render::<svg::Color<'_>>()
        .min_dimensions(EDGE, EDGE)
        .build();
    // An `svg` element, to stand in a page: what announces a document of its own is left out.
    Ok(Secret::new(
        drawn
            .split_once("?>")
            .map_or(drawn.as_str(), |(_, element)| element)
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_uri_there_can_be_is_drawn_as_one_element() {
        let uri = format!(
            "otpauth://totp/{}",
            "%F0%9F%98%80".repeat(60 * 2 + 128 / 12)
        );
        for uri in ["otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQ".to_owned(), uri] {
            let svg = draw(&Secret::new(uri)).unwrap();
            let svg = svg.expose();
            assert!(
                svg.starts_with("<svg ") && svg.ends_with("</svg>"),
                "{}",
                svg.len()
            );
        }
    }
}
