//! Changes of inputs at growing strength, for what an encoder is invariant to.

use offshoot::Image;

use crate::augment::{ImageAugmentation, SignalAugmentation};
use crate::data::{Example, Kind};
use crate::error::Result;
use crate::random::SplitMix64;

/// The changes of a kind of input, by name. What has no spaces, such as a sequence of
/// residues, is changed by letters instead of words.
pub const fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text => &["words left out", "typing errors", "words in another order"],
        Kind::Image => &["crop", "rotation", "brightness", "blur", "noise"],
        Kind::Signal => &["noise", "scale", "crop", "speed"],
    }
}

/// A view of an example: several changes at once, the first (a crop, words left out) of a
/// strength up to 0.6 that is drawn, the others weak.
///
/// # Errors
/// As [`change`].
pub fn view(example: &Example, random: &mut SplitMix64) -> Result<Example> {
    let part = 0.6 * random.unit();
    let changes: &[(&str, f32)] = match example {
        Example::Text(_) => {
            &[("words left out", part), ("typing errors", 0.1), ("words in another order", 0.1)]
        }
        Example::Image(_) => {
            &[("crop", part), ("rotation", 0.2), ("brightness", 0.3), ("noise", 0.15)]
        }
        Example::Signal(_) => &[("crop", part), ("speed", 0.2), ("scale", 0.3), ("noise", 0.15)],
    };
    let mut view = example.clone();
    for (name, strength) in changes {
        view = change(&view, name, *strength, random)?;
    }
    Ok(view)
}

/// The example after a change of a strength from 0 (none) to 1. An unknown name changes
/// nothing.
///
/// # Errors
/// Where an image has a number of channels that cannot be changed.
pub fn change(
    example: &Example,
    name: &str,
    strength: f32,
    random: &mut SplitMix64,
) -> Result<Example> {
    Ok(match example {
        Example::Text(text) => Example::Text(of_text(text, name, strength, random)),
        Example::Image(image) => Example::Image(of_image(image, name, strength, random)?),
        Example::Signal(signal) => {
            let mut signal = signal.clone();
            of_signal(&mut signal, name, strength, random)?;
            Example::Signal(signal)
        }
    })
}

fn of_text(text: &str, name: &str, strength: f32, random: &mut SplitMix64) -> String {
    let spaced = text.contains(char::is_whitespace);
    let mut words: Vec<String> = if spaced {
        text.split_whitespace().map(str::to_owned).collect()
    } else {
        text.chars().map(String::from).collect()
    };
    match name {
        "words left out" => {
            let first = words.first().cloned();
            words.retain(|_| !random.chance(0.8 * strength));
            if words.is_empty() {
                words.extend(first);
            }
        }
        "typing errors" if spaced => {
            for word in words.iter_mut().filter(|word| word.chars().count() > 2) {
                if random.chance(0.8 * strength) {
                    let mut letters: Vec<char> = word.chars().collect();
                    let at = random.below(letters.len() - 1);
                    letters.swap(at, at + 1);
                    *word = letters.into_iter().collect();
                }
            }
        }
        "typing errors" => {
            let letters: Vec<String> = words.clone();
            for word in &mut words {
                if random.chance(0.5 * strength) {
                    word.clone_from(&letters[random.below(letters.len())]);
                }
            }
        }
        "words in another order" => {
            let moved: Vec<usize> = (0..words.len()).filter(|_| random.chance(strength)).collect();
            let mut order = moved.clone();
            random.shuffle(&mut order);
            let before = words.clone();
            moved.iter().zip(&order).for_each(|(&to, &from)| words[to].clone_from(&before[from]));
        }
        _ => {}
    }
    words.join(if spaced { " " } else { "" })
}

fn of_image(image: &Image, name: &str, strength: f32, random: &mut SplitMix64) -> Result<Image> {
    let mut settings = ImageAugmentation::none();
    match name {
        "crop" => settings.crop_scale = (1.0 - 0.8 * strength, 1.0 - 0.8 * strength),
        "rotation" => {
            (settings.affine, settings.rotation) = (1.0, strength * std::f32::consts::FRAC_PI_2);
        }
        "brightness" => (settings.colour, settings.brightness) = (1.0, 0.9 * strength),
        "blur" => {
            (settings.blur, settings.blur_sigma) = (1.0, (0.15 * strength, 0.15 * strength));
        }
        _ => {}
    }
    let (height, width, channels) = (image.height(), image.width(), image.channels());
    let mut pixels = vec![0; height * width * channels];
    settings.apply(image, height, width, channels, random, &mut pixels)?;
    if name == "noise" {
        for pixel in &mut pixels {
            *pixel =
                (f32::from(*pixel) + 100.0 * strength * random.normal()).clamp(0.0, 255.0) as u8;
        }
    }
    Ok(Image::new(height, width, channels, pixels)?)
}

fn of_signal(
    signal: &mut ndarray::Array2<f32>,
    name: &str,
    strength: f32,
    random: &mut SplitMix64,
) -> Result<()> {
    let mut settings = SignalAugmentation::none();
    match name {
        "noise" => settings.jitter = 1.5 * strength,
        "scale" => settings.scaling = 0.8 * strength,
        "crop" => settings.crop = (1.0 - 0.8 * strength, 1.0 - 0.8 * strength),
        "speed" => settings.time_warp = strength,
        _ => {}
    }
    let length = signal.ncols();
    let means: Vec<f32> = signal.outer_iter().map(|c| c.mean().unwrap_or(0.0)).collect();
    let deviations: Vec<f32> = signal.outer_iter().map(|c| c.std(0.0)).collect();
    let mut out = vec![0.0; signal.len()];
    settings.apply(signal.view(), length, &means, &deviations, random, &mut out)?;
    for (channel, values) in out.chunks_exact(length).enumerate() {
        let scale = if deviations[channel] > 0.0 { deviations[channel] } else { 1.0 };
        let back = values.iter().map(|v| v * scale + means[channel]);
        signal.row_mut(channel).iter_mut().zip(back).for_each(|(old, new)| *old = new);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn strength_0_changes_nothing_and_more_changes_more() {
        let image = Image::new(8, 8, 1, (0..64).map(|v| v * 4).collect()).unwrap();
        let signal = Array2::from_shape_fn((2, 30), |(c, t)| (t as f32 * 0.4).sin() + c as f32);
        let text = "one two three four five six seven eight".to_owned();
        let examples = [
            (Kind::Text, Example::Text(text)),
            (Kind::Text, Example::Text("MKVLAAGIVLLALS".into())),
            (Kind::Image, Example::Image(image)),
            (Kind::Signal, Example::Signal(signal)),
        ];
        for (kind, example) in examples {
            for name in names(kind) {
                let at =
                    |strength| change(&example, name, strength, &mut SplitMix64::new(3)).unwrap();
                match (&example, at(0.0)) {
                    (Example::Signal(a), Example::Signal(b)) => {
                        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{name}");
                    }
                    (a, b) => assert_eq!(a, &b, "{name}"),
                }
                assert_ne!(at(1.0), example, "{name}");
            }
            let of = |seed| view(&example, &mut SplitMix64::new(seed)).unwrap();
            assert!(of(1) != example && of(1) == of(1) && of(1) != of(2));
        }
    }
}
