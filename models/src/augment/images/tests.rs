//! Views against closed forms.

use super::*;

fn image(height: usize, width: usize, channels: usize) -> Image {
    let mut random = SplitMix64::new(5);
    let pixels = (0..height * width * channels).map(|_| random.below(256) as u8).collect();
    Image::new(height, width, channels, pixels).unwrap()
}

fn view(settings: &ImageAugmentation, image: &Image, size: (usize, usize), seed: u64) -> Vec<u8> {
    let channels = image.channels();
    let mut out = vec![0; size.0 * size.1 * channels];
    let mut random = SplitMix64::new(seed);
    settings.validate().unwrap();
    settings.apply(image, size.0, size.1, channels, &mut random, &mut out).unwrap();
    out
}

fn turned(image: &Image, angle: f32) -> Vec<u8> {
    let (h, w) = (image.height(), image.width());
    let map = Map::affine(angle, 0.0, 1.0, (0.0, 0.0), h as f32, w as f32);
    let mut out = vec![0; h * w];
    resample::resample::<1>(image, &map, h, w, &mut out);
    out
}

#[test]
fn nothing_switched_on_is_the_image_itself() {
    for channels in [1, 3] {
        let image = image(13, 9, channels);
        assert_eq!(view(&ImageAugmentation::none(), &image, (13, 9), 1), image.pixels());
    }
}

#[test]
fn a_mirror_image_is_exact_and_mirrored_again_the_image() {
    let flip = ImageAugmentation { flip: 1.0, ..ImageAugmentation::none() };
    let image = image(6, 7, 3);
    let once = view(&flip, &image, (6, 7), 1);
    for v in 0..6 {
        for u in 0..7 {
            let from = (v * 7 + 6 - u) * 3;
            assert_eq!(once[(v * 7 + u) * 3..][..3], image.pixels()[from..][..3]);
        }
    }
    let once = Image::new(6, 7, 3, once).unwrap();
    assert_eq!(view(&flip, &once, (6, 7), 2), image.pixels());
}

#[test]
fn a_quarter_turn_moves_pixels_exactly() {
    let image = image(8, 8, 1);
    let quarter = turned(&image, std::f32::consts::FRAC_PI_2);
    for v in 0..8 {
        for u in 0..8 {
            // Counter-clockwise: the upper right corner comes to the upper left.
            assert_eq!(quarter[v * 8 + u], image.pixels()[u * 8 + 7 - v], "{v} {u}");
        }
    }
    let half = turned(&image, std::f32::consts::PI);
    let reversed: Vec<u8> = image.pixels().iter().rev().copied().collect();
    assert_eq!(half, reversed);
}

#[test]
fn shifts_and_scales_are_where_they_should_be_and_the_border_is_repeated() {
    let image = image(6, 6, 1);
    let at = |v: usize, u: usize| image.pixels()[v * 6 + u];
    let mut out = vec![0; 36];
    let map = Map::affine(0.0, 0.0, 1.0, (2.0, -1.0), 6.0, 6.0);
    resample::resample::<1>(&image, &map, 6, 6, &mut out);
    for v in 0..6usize {
        for u in 0..6 {
            assert_eq!(out[v * 6 + u], at(v.saturating_sub(2), (u + 1).min(5)), "{v} {u}");
        }
    }
    // Twice as large about the centre: between two pixels at a quarter of the way.
    let map = Map::affine(0.0, 0.0, 2.0, (0.0, 0.0), 6.0, 6.0);
    resample::resample::<1>(&image, &map, 6, 6, &mut out);
    let mixed = |a: u8, b: u8, c: u8, d: u8| {
        (0.5625 * f64::from(a) + 0.1875 * (f64::from(b) + f64::from(c)) + 0.0625 * f64::from(d))
            .round()
    };
    // Centre of output pixel (2, 2) is at 3 + (2.5 - 3) / 2 = 2.75, pixel 2 and a quarter.
    assert_eq!(f64::from(out[14]), mixed(at(2, 2), at(2, 3), at(3, 2), at(3, 3)));
}

#[test]
fn shear_moves_rows_by_its_tangent() {
    let image = image(5, 5, 1);
    let shear = std::f32::consts::FRAC_PI_4;
    let map = Map::affine(0.0, shear, 1.0, (0.0, 0.0), 5.0, 5.0);
    let mut out = vec![0; 25];
    resample::resample::<1>(&image, &map, 5, 5, &mut out);
    for v in 0..5isize {
        for u in 0..5isize {
            let from = (u - (v - 2)).clamp(0, 4);
            assert_eq!(out[(v * 5 + u) as usize], image.pixels()[(v * 5 + from) as usize]);
        }
    }
}

#[test]
fn shrinking_by_a_whole_number_is_the_mean_of_squares() {
    let image = image(12, 18, 3);
    let small = view(&ImageAugmentation::none(), &image, (4, 6), 1);
    for v in 0..4 {
        for u in 0..6 {
            for c in 0..3 {
                let square = (0..9).map(|i| (v * 3 + i / 3, u * 3 + i % 3));
                let sum: u32 =
                    square.map(|(y, x)| u32::from(image.pixels()[(y * 18 + x) * 3 + c])).sum();
                assert_eq!(u32::from(small[(v * 6 + u) * 3 + c]), (sum + 4) / 9, "{v} {u} {c}");
            }
        }
    }
    // A crop of a large image, turned: of a ramp each view shows the ramp.
    let ramp: Vec<u8> = (0..200 * 256).map(|i| (i % 256) as u8).collect();
    let ramp = Image::new(200, 256, 1, ramp).unwrap();
    let crop = geometry::Crop { top: 21.0, left: 50.0, height: 101.0, width: 102.0 };
    let turn = Map::affine(0.2, 0.0, 1.0, (0.0, 0.0), 30.0, 30.0);
    let map = Map::crop(crop, 30.0, 30.0).after(&turn);
    let mut out = vec![0; 900];
    resample::resample::<1>(&ramp, &map, 30, 30, &mut out);
    for v in 0..30 {
        for u in 0..30 {
            let (x, _) = map.at(u as f32 + 0.5, v as f32 + 0.5);
            let found = f32::from(out[v * 30 + u]);
            assert!((found - (x - 0.5)).abs() <= 1.1, "{v} {u}: {found} at {x}");
        }
    }
}

#[test]
fn crops_have_areas_shapes_and_places_within_their_ranges() {
    let mut random = SplitMix64::new(1);
    let mut areas = 0.0;
    for _ in 0..2000 {
        let crop = geometry::draw_crop(50.0, 50.0, (0.2, 0.6), (0.75, 4.0 / 3.0), &mut random);
        let (area, ratio) = (crop.height * crop.width / 2500.0, crop.width / crop.height);
        assert!((0.1999..0.6001).contains(&area) && (0.7499..1.3334).contains(&ratio));
        assert!(crop.top >= 0.0 && crop.top + crop.height <= 50.001);
        assert!(crop.left >= 0.0 && crop.left + crop.width <= 50.001);
        areas += area;
    }
    assert!((areas / 2000.0 - 0.4).abs() < 0.01, "{areas}");
    // No crop of such an area and shape fits: the largest centred one.
    let crop = geometry::draw_crop(10.0, 100.0, (0.9, 0.95), (0.75, 4.0 / 3.0), &mut random);
    let expected = geometry::Crop { top: 0.0, left: 43.333_332, height: 10.0, width: 13.333_334 };
    assert!((crop.left - expected.left).abs() < 1e-4 && (crop.width - expected.width).abs() < 1e-4);
    assert_eq!((crop.top, crop.height), (0.0, 10.0));
}

#[test]
fn the_generator_decides_all_and_views_differ() {
    let settings = ImageAugmentation { solarise: 0.3, ..ImageAugmentation::natural() };
    for (settings, channels) in [(settings, 3), (ImageAugmentation::grey_shapes(), 1)] {
        let image = image(40, 30, channels);
        let views: Vec<_> = (0..20).map(|seed| view(&settings, &image, (24, 28), seed)).collect();
        let again: Vec<_> = (0..20).map(|seed| view(&settings, &image, (24, 28), seed)).collect();
        assert_eq!(views, again);
        let distinct: std::collections::HashSet<_> = views.iter().collect();
        assert_eq!(distinct.len(), 20);
    }
}

#[test]
fn cut_outs_cover_their_share_with_the_mean() {
    let cutout =
        ImageAugmentation { cutout: 1.0, cutout_scale: (0.1, 0.3), ..ImageAugmentation::none() };
    let board: Vec<u8> = (0..400).map(|i| 200 * ((i + i / 20) % 2) as u8).collect();
    let board = Image::new(20, 20, 1, board).unwrap();
    let mut shares = std::collections::HashSet::new();
    for seed in 0..200 {
        let covered = view(&cutout, &board, (20, 20), seed).iter().filter(|&&s| s == 100).count();
        assert!((30..=132).contains(&covered), "{covered}");
        shares.insert(covered);
    }
    assert!(shares.len() > 20);
}

#[test]
fn other_channels_sizes_and_settings() {
    let settings = ImageAugmentation::natural();
    let mut random = SplitMix64::new(1);
    for channels in 1..=4 {
        let image = image(1, 300, channels);
        for wanted in [1, 3] {
            let mut out = vec![0; 16 * 16 * wanted];
            settings.apply(&image, 16, 16, wanted, &mut random, &mut out).unwrap();
        }
        let mut out = vec![0; 32];
        assert!(settings.apply(&image, 4, 4, 2, &mut random, &mut out).is_err());
        assert!(settings.apply(&image, 4, 4, 3, &mut random, &mut out).is_err());
    }
    let solarise = ImageAugmentation { solarise: 1.0, ..ImageAugmentation::none() };
    let levels = Image::new(1, 4, 1, vec![0, 127, 128, 255]).unwrap();
    assert_eq!(view(&solarise, &levels, (1, 4), 1), [0, 127, 127, 0]);
    for bad in [
        ImageAugmentation { flip: 1.5, ..ImageAugmentation::none() },
        ImageAugmentation { hue: f32::NAN, ..ImageAugmentation::none() },
        ImageAugmentation { crop_scale: (0.5, 0.2), ..ImageAugmentation::none() },
        ImageAugmentation { crop_scale: (0.0, 0.2), ..ImageAugmentation::none() },
    ] {
        assert!(bad.validate().is_err(), "{bad:?}");
    }
}

#[derive(serde::Deserialize)]
struct Sampled {
    height: usize,
    width: usize,
    channels: usize,
    rows: usize,
    columns: usize,
    map: [f32; 6],
    image: Vec<u8>,
    expected: Vec<f32>,
}

/// `tests/reference/augment/make.py` samples with PyTorch's `grid_sample`.
#[test]
fn maps_are_followed_as_by_grid_sample() {
    let text = include_str!("../../../tests/reference/augment/maps.json");
    let cases: Vec<Sampled> = serde_json::from_str(text).unwrap();
    for case in cases {
        let image = Image::new(case.height, case.width, case.channels, case.image).unwrap();
        let [xx, xy, x0, yx, yy, y0] = case.map;
        let map = Map { xx, xy, x0, yx, yy, y0 };
        let mut out = vec![0; case.rows * case.columns * case.channels];
        match case.channels {
            1 => resample::resample::<1>(&image, &map, case.rows, case.columns, &mut out),
            _ => resample::resample::<3>(&image, &map, case.rows, case.columns, &mut out),
        }
        for (at, (&found, expected)) in out.iter().zip(case.expected).enumerate() {
            // Weights of 8 bits are off by less than 1/256 along each of the two axes, and
            // the result is rounded.
            let apart = (f32::from(found) - expected).abs();
            assert!(apart <= 0.5 + 2.0 * 255.0 / 256.0, "{:?} {at}: {found} {expected}", case.map);
        }
    }
}
