"""Fixtures that numpy and pyarrow made, for the table reader and the embedding writers.

    python tables.py write ../data        # makes the fixtures
    python tables.py check FOLDER         # reads what the Rust test left in FOLDER

`check` reads the files that `OFFSHOOT_KEEP=FOLDER cargo test -p offshoot-models
round_trip` writes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, COLUMNS = 7, 4


def values():
    """Numbers that every type holds exactly."""
    i = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    return {
        "f32": ((i - 5) / 8).astype("<f4"),
        "f16": ((i - 5) / 8).astype("<f2"),
        "int8": (i * 9 - 128).astype("i1"),
        "bits": (i * 9).astype("u1"),
    }


def texts():
    return [f"text {i}\n“{'é' * i}”" for i in range(ROWS)]


def write(folder):
    folder.mkdir(exist_ok=True)
    for name, array in values().items():
        np.save(folder / f"{name}.npy", array)
    plain = ["a", "two\nlines", None, "", "日本語", "🙂", "g", "h", "i", "j"]
    strings = {
        "text": pa.array(plain, pa.string()),
        "large": pa.array(plain, pa.large_string()),
        "view": pa.array(plain, pa.string_view()),
        "dict": pa.array(plain, pa.string()).dictionary_encode(),
        "label": pa.array([0, 1, 2, None, 1, 0, 2, 1, 0, 1], pa.int32()),
        "flag": pa.array([True, False] * 5, pa.bool_()),
        "score": pa.array(np.linspace(0, 1, 10), pa.float64()),
    }
    pq.write_table(pa.table(strings), folder / "strings.parquet", row_group_size=3)


def check(folder):
    for name, array in values().items():
        read = np.load(folder / f"{name}.npy")
        assert read.dtype == array.dtype and np.array_equal(read, array), name
        table = pq.read_table(folder / f"{name}.parquet")
        assert table.column_names == ["id", "text", "embedding"], table.column_names
        assert table["id"].to_pylist() == list(range(ROWS))
        assert table["text"].to_pylist() == texts()
        assert table.schema.field("embedding").type.list_size == COLUMNS
        read = np.array(table["embedding"].to_pylist(), dtype=array.dtype)
        assert table.schema.field("embedding").type.value_type == pa.from_numpy_dtype(array.dtype)
        assert np.array_equal(read, array), name
        lines = [json.loads(line) for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
        assert [line["text"] for line in lines] == texts()
        assert np.array_equal(np.array([line["embedding"] for line in lines]), array), name
    print("ok")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
