//! Contact sheets: what examples look like beside their views.

use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use ndarray::ArrayView2;
use offshoot::Image;

use crate::error::{Error, Result};

/// Pixels between tiles.
const GAP: usize = 4;
/// Smallest side of a tile; smaller images are enlarged by a whole number.
const SMALLEST: usize = 96;
/// Largest side of a tile; larger images are made smaller.
const LARGEST: usize = 224;
/// Most bytes of a sheet.
const MOST: usize = 256 << 20;
/// Behind the tiles.
const PAPER: u8 = 255;
/// Colours of channels that stay apart for colour-blind readers (Okabe and Ito, 2008).
const COLOURS: [[u8; 3]; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [90, 90, 90],
    [0, 0, 0],
];

/// A sheet in colour with a row for each example: the example itself, then its views. A
/// column is as wide as its widest tile, and tiles are centred in their places.
///
/// # Errors
/// [`Error::Argument`] when there is no example or the sheet would be too large.
pub fn contact_sheet(rows: &[(Image, Vec<Image>)]) -> Result<Image> {
    let tiles = rows
        .iter()
        .map(|(first, views)| std::iter::once(first).chain(views).map(tile).collect())
        .collect::<Result<Vec<Vec<Image>>>>()?;
    let columns = tiles.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| tiles.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> =
        (0..columns).map(|column| wide(column).map(Image::width).max().unwrap_or(0)).collect();
    let heights: Vec<usize> =
        tiles.iter().map(|row| row.iter().map(Image::height).max().unwrap_or(0)).collect();
    let sheet_height = GAP + heights.iter().map(|height| height + GAP).sum::<usize>();
    // The examples stand apart from their views.
    let sheet_width = 2 * GAP + widths.iter().map(|width| width + GAP).sum::<usize>();
    let bytes = sheet_height.saturating_mul(sheet_width).saturating_mul(3);
    if rows.is_empty() || bytes > MOST {
        return Err(Error::Argument(format!(
            "a contact sheet of {} rows and {columns} columns cannot be made; show at least one \
             example, and of many fewer at once",
            tiles.len()
        )));
    }
    let mut pixels = vec![PAPER; bytes];
    let mut top = GAP;
    for (tiles, height) in tiles.iter().zip(heights) {
        let mut left = GAP;
        for (tile, width) in tiles.iter().zip(&widths) {
            let (y, x) = (top + (height - tile.height()) / 2, left + (width - tile.width()) / 2);
            let line = tile.width() * 3;
            for (row, from) in tile.pixels().chunks_exact(line).enumerate() {
                let at = ((y + row) * sheet_width + x) * 3;
                pixels[at..at + line].copy_from_slice(from);
            }
            left += width + GAP + if left == GAP { GAP } else { 0 };
        }
        top += height + GAP;
    }
    Ok(Image::new(sheet_height, sheet_width, 3, pixels)?)
}

/// The image in colour, of a size that can be seen.
fn tile(image: &Image) -> Result<Image> {
    let image = image.with_channels(3)?;
    let (height, width) = (image.height(), image.width());
    let longest = height.max(width);
    if longest > LARGEST {
        let scaled = |side: usize| (side * LARGEST).div_ceil(longest);
        return Ok(image.resized(scaled(height), scaled(width))?);
    }
    let factor = (SMALLEST / longest).max(1);
    if factor == 1 {
        return Ok(image);
    }
    // Pixels stay squares.
    let mut pixels = Vec::with_capacity(height * width * 3 * factor * factor);
    for row in image.pixels().chunks_exact(width * 3) {
        let wide: Vec<u8> = row
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|pixel| [*pixel].repeat(factor))
            .flatten()
            .collect();
        (0..factor).for_each(|_| pixels.extend_from_slice(&wide));
    }
    Ok(Image::new(height * factor, width * factor, 3, pixels)?)
}

/// A picture of a signal `[channels, length]`, a line a channel, within `range` from bottom
/// to top. Values that are not finite are left out.
///
/// # Errors
/// [`Error::Argument`] when the picture has less than 8 by 8 pixels or is too large.
pub fn plot(
    signal: ArrayView2<'_, f32>,
    range: (f32, f32),
    height: usize,
    width: usize,
) -> Result<Image> {
    let bytes = height.saturating_mul(width).saturating_mul(3);
    if height < 8 || width < 8 || bytes > MOST {
        return Err(Error::Argument(format!(
            "a picture of {width} by {height} pixels cannot be made"
        )));
    }
    let mut pixels = vec![248; bytes];
    let (low, high) = range;
    let spread = if high > low { high - low } else { 1.0 };
    let place = |value: f32| (1.0 - (value - low) / spread).clamp(0.0, 1.0) * (height - 1) as f32;
    let mut put = |x: usize, y: usize, colour: [u8; 3]| {
        let at = (y * width + x) * 3;
        pixels[at..at + 3].copy_from_slice(&colour);
    };
    if low <= 0.0 && high >= 0.0 {
        (0..width).for_each(|x| put(x, place(0.0).round() as usize, [215; 3]));
    }
    let length = signal.ncols();
    for (channel, values) in signal.rows().into_iter().enumerate() {
        let colour = COLOURS[channel % COLOURS.len()];
        let mut last: Option<usize> = None;
        for x in 0..width {
            // The straight line between the values on both sides of the column.
            let at = x as f32 * length.saturating_sub(1) as f32 / (width - 1) as f32;
            let first = at as usize;
            let (Some(&a), next) = (values.get(first), values.get(first + 1)) else { continue };
            let value = next.map_or(a, |b| a + (b - a) * (at - first as f32));
            if !value.is_finite() {
                last = None;
                continue;
            }
            let y = place(value).round() as usize;
            // A stroke without gaps: from half-way between the columns.
            let middle = last.map_or(y, |last| last.midpoint(y));
            for y in middle.min(y)..=middle.max(y) {
                put(x, y, colour);
            }
            if let Some(last) = last {
                for y in middle.min(last)..=middle.max(last) {
                    put(x - 1, y, colour);
                }
            }
            last = Some(y);
        }
    }
    Ok(Image::new(height, width, 3, pixels)?)
}

/// Smallest and largest finite value of signals, for [`plot`]; `(0, 1)` where there is none.
pub fn range<'a>(signals: impl IntoIterator<Item = ArrayView2<'a, f32>>) -> (f32, f32) {
    let (low, high) = signals
        .into_iter()
        .flat_map(|signal| signal.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A table of texts for a terminal: for each example its tokens, and below each view of it,
/// where tokens that differ from the example's are in brackets.
pub fn text_table(rows: &[(Vec<String>, Vec<Vec<String>>)]) -> String {
    let mut table = String::new();
    for (number, (tokens, views)) in rows.iter().enumerate() {
        table.push_str(&format!("{:>3}  {}\n", number + 1, tokens.join(" ")));
        for view in views {
            let shown = view.iter().enumerate().map(|(at, token)| {
                if tokens.get(at) == Some(token) { token.clone() } else { format!("[{token}]") }
            });
            table.push_str(&format!("     {}\n", shown.collect::<Vec<_>>().join(" ")));
        }
    }
    table
}

/// Writes a PNG file: beside its target, synced, then renamed.
///
/// # Errors
/// [`Error::Io`], [`Error::DiskFull`]; then nothing is left under the name.
pub fn write_png(path: &Path, image: &Image) -> Result<()> {
    let io = |e| Error::io("write", path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut bytes = Vec::new();
    let color = match image.channels() {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
        .write_image(image.pixels(), size(image.width()), size(image.height()), color)
        .map_err(|e| io(std::io::Error::other(e)))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".preview");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The usual permissions of a new file; the user's mask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(io)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    crate::packages::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_sheet_has_a_row_an_example_and_a_column_a_view() {
        let black = Image::new(28, 28, 1, vec![0; 784]).unwrap();
        let red = Image::new(14, 28, 3, [255, 0, 0].repeat(14 * 28)).unwrap();
        let rows = vec![(black.clone(), vec![red.clone(), black.clone()]), (red, Vec::new())];
        let sheet = contact_sheet(&rows).unwrap();
        // 28 pixels are shown as 84.
        assert_eq!((sheet.height(), sheet.width()), (4 + 88 + 46, 8 + 3 * 88));
        let at = |y: usize, x: usize| &sheet.pixels()[(y * sheet.width() + x) * 3..][..3];
        assert_eq!(at(4, 4), [0; 3]);
        assert_eq!(at(0, 0), [255; 3]);
        // The flat image lies in the middle of its tile.
        assert_eq!((at(4 + 20, 100), at(4 + 21, 100)), (&[255; 3][..], &[255, 0, 0][..]));
        assert_eq!((at(92 + 4, 4), at(100, 150)), (&[255, 0, 0][..], &[255; 3][..]));
        assert!(contact_sheet(&[]).is_err());
        let large = Image::new(1000, 500, 3, vec![9; 1_500_000]).unwrap();
        let sheet = contact_sheet(&[(large, Vec::new())]).unwrap();
        assert_eq!((sheet.height(), sheet.width()), (4 + 228, 8 + 116));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        write_png(&path, &sheet).unwrap();
        assert_eq!(Image::decode(&std::fs::read(&path).unwrap()).unwrap(), sheet);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_png(&folder.path().join("none/sheet.png"), &sheet).is_err());
    }

    #[test]
    fn lines_pass_through_their_values_without_gaps() {
        let signal = array![[0.0, 1.0, 0.0], [1.0, f32::NAN, 1.0]];
        assert_eq!(range([signal.view()]), (0.0, 1.0));
        let plot = plot(signal.view(), (0.0, 1.0), 41, 21).unwrap();
        let at = |y: usize, x: usize| &plot.pixels()[(y * 21 + x) * 3..][..3];
        for (y, x) in [(40, 0), (0, 10), (40, 20), (20, 5)] {
            assert_eq!(at(y, x), COLOURS[0], "{y} {x}");
        }
        // In each row on the way up there is a pixel of the line.
        for y in 0..41 {
            assert!((0..21).any(|x| at(y, x) == COLOURS[0]), "{y}");
        }
        assert_eq!(at(0, 20), COLOURS[1]);
        assert!(super::plot(signal.view(), (0.0, 1.0), 2, 21).is_err());
        assert_eq!(range([array![[f32::NAN]].view()]), (0.0, 1.0));
    }

    #[test]
    fn changed_tokens_are_in_brackets() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let table = text_table(&[(words("a b c"), vec![words("a MASK c")])]);
        assert_eq!(table, "  1  a b c\n     a [MASK] c\n");
    }
}
