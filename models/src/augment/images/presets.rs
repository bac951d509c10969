//! Settings that work for common kinds of images.

use super::ImageAugmentation;

impl Default for ImageAugmentation {
    fn default() -> Self {
        Self::none()
    }
}

impl ImageAugmentation {
    /// Every step off: the whole image, stretched to the wanted size.
    pub const fn none() -> Self {
        Self {
            crop_scale: (1.0, 1.0),
            crop_ratio: (1.0, 1.0),
            flip: 0.0,
            affine: 0.0,
            rotation: 0.0,
            translation: 0.0,
            scale: (1.0, 1.0),
            shear: 0.0,
            colour: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey: 0.0,
            blur: 0.0,
            blur_sigma: (0.0, 0.0),
            solarise: 0.0,
            cutout: 0.0,
            cutout_scale: (0.0, 0.0),
        }
    }

    /// For photographs in colour: the steps of SimCLR (Chen and others, 2020,
    /// arXiv:2002.05709), with the deviation of the blur in proportion to the view, 0.1 to 2
    /// pixels of 224.
    pub const fn natural() -> Self {
        Self {
            crop_scale: (0.08, 1.0),
            crop_ratio: (0.75, 4.0 / 3.0),
            flip: 0.5,
            colour: 0.8,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
            grey: 0.2,
            blur: 0.5,
            blur_sigma: (0.1 / 224.0, 2.0 / 224.0),
            ..Self::none()
        }
    }

    /// For grey shapes that fill their image and stand upright, such as garments or parts.
    pub const fn grey_shapes() -> Self {
        Self {
            crop_scale: (0.4, 1.0),
            crop_ratio: (0.75, 4.0 / 3.0),
            flip: 0.5,
            affine: 0.5,
            rotation: 0.17,
            translation: 0.06,
            scale: (0.9, 1.1),
            shear: 0.1,
            colour: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            blur: 0.3,
            blur_sigma: (0.01, 0.035),
            cutout: 0.3,
            cutout_scale: (0.02, 0.15),
            ..Self::none()
        }
    }
}
