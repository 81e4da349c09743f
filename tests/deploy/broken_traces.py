"""A hundred kinds of broken and hostile traces: (name, content, line of the fault, words of the message)."""

from __future__ import annotations

import json


def row(**changes):
    """A line of JSON; a value of None leaves its key out."""
    fields = {"timestamp": 1000, "input_length": 10, "output_length": 5, "hash_ids": [1], **changes}
    return json.dumps({k: v for k, v in fields.items() if v is not None})


GOOD = row(timestamp=0)
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
VIDUR = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n"


def second(text):
    """A good line of JSON, then this one."""
    return f"{GOOD}\n{text}\n"


JSON_LINES = {
    # the line is no JSON object
    "json-truncated": (second(row()[:-9]), 2, "no JSON"),
    "json-open-brace": (second("{"), 2, "no JSON"),
    "json-word": (second("hello"), 2, "no JSON"),
    "json-single-quotes": (second("{'timestamp': 1}"), 2, "no JSON"),
    "json-trailing-comma": (second(row()[:-1] + ",}"), 2, "no JSON"),
    "json-comment": (second("// requests"), 2, "no JSON"),
    "json-comma-after-object": (second(row() + ","), 2, "more than one JSON value"),
    "json-two-objects": (second(row() + row()), 2, "more than one JSON value"),
    "json-list": (second("[1, 2, 3]"), 2, "found a list"),
    "json-array-file": (f"[{GOOD},\n{row()}]\n", 1, "no JSON"),
    "json-list-first": ("[]\n", 1, "found a list"),
    "json-pretty-printed": ('{\n "timestamp": 0\n}\n', 1, "no JSON"),
    "json-null": (second("null"), 2, "expected an object"),
    "json-true": (second("true"), 2, "expected an object"),
    "json-number": (second("7"), 2, "expected an object"),
    "json-string": (second('"x"'), 2, "expected an object"),
    "json-deep": (second('{"timestamp":' + "[" * 100_000 + "]" * 100_000 + "}"), 2, "nested too deeply"),
    "json-deep-objects": (second('{"a":' * 100_000 + "1" + "}" * 100_000), 2, "nested too deeply"),
    "json-twin-keys": (second('{"timestamp": 1, "timestamp": 2}'), 2, "'timestamp' is there twice"),
    "json-nan": (second(row().replace("1000", "NaN")), 2, "NaN is no JSON number"),
    "json-infinity": (second(row().replace("1000", "Infinity")), 2, "Infinity is no JSON number"),
    "json-minus-infinity": (second(row().replace("1000", "-Infinity")), 2, "no JSON number"),
    "json-huge-digits": (second(row().replace("1000", "1" * 5000)), 2, "too many digits"),
    "json-hex": (second(row().replace("1000", "0x10")), 2, "no JSON"),
    "json-leading-zero": (second(row().replace("1000", "0100")), 2, "no JSON"),
    "json-bad-escape": (second(row().replace("input", r"\q")), 2, "no JSON"),
    # a key
    "key-no-timestamp": (second(row(timestamp=None)), 2, "no key timestamp"),
    "key-no-input": (second(row(input_length=None)), 2, "no key input_length"),
    "key-no-output": (second(row(output_length=None)), 2, "no key output_length"),
    "key-case": (second(row().replace("timestamp", "Timestamp")), 2, "did you mean 'Timestamp'"),
    "key-misspelt": (second(row().replace("input_length", "input_lenght")), 2, "did you mean 'input_lenght'"),
    "key-empty-object": (second("{}"), 2, "no key timestamp"),
    "key-other-tool": (second('{"prompt": "hi", "max_tokens": 3}'), 2, "no key timestamp"),
    # its value
    "time-text": (second(row(timestamp="1000")), 2, "expected milliseconds"),
    "time-list": (second(row(timestamp=[1000])), 2, "expected milliseconds"),
    "time-bool": (second(row(timestamp=True)), 2, "expected milliseconds"),
    "time-null": (second(row().replace("1000", "null")), 2, "expected milliseconds"),
    "time-negative": (second(row(timestamp=-1)), 2, "allowed 0 to a century"),
    "time-overflow": (second(row().replace("1000", "1e999")), 2, "allowed 0 to a century"),
    "time-huge": (second(row(timestamp=10**30)), 2, "allowed 0 to a century"),
    "time-back": (f"{row()}\n{GOOD}\n", 2, "arrives before"),
    "input-zero": (second(row(input_length=0)), 2, "input_length: found 0"),
    "input-negative": (second(row(input_length=-10)), 2, "found -10"),
    "input-fraction": (second(row(input_length=10.5)), 2, "whole number"),
    "input-float": (second(row(input_length=10.0)), 2, "whole number"),
    "input-text": (second(row(input_length="ten")), 2, "found 'ten'"),
    "input-bool": (second(row(input_length=True)), 2, "found True"),
    "input-list": (second(row(input_length=[1])), 2, "found [1]"),
    "input-object": (second(row(input_length={})), 2, "found {}"),
    "input-too-long": (second(row(input_length=10**9)), 2, "allowed 1 to 100,000,000"),
    "input-googol": (second(row(input_length=10**100)), 2, "allowed 1 to"),
    "output-zero": (second(row(output_length=0)), 2, "output_length: found 0"),
    "output-negative": (second(row(output_length=-1)), 2, "found -1"),
    "output-fraction": (second(row(output_length=0.5)), 2, "whole number"),
    "output-exponent": (second(row().replace(": 5", ": 1e3")), 2, "whole number"),
    "output-null": (second(row().replace(": 5", ": null")), 2, "found None"),
    # the file
    "csv-after-json": (second("1000,10,5"), 2, "JSON value"),
    "header-after-json": (second("arrived_at,num_prefill_tokens,num_decode_tokens"), 2, "no JSON"),
}


def azure(cells):
    """A good line of Azure CSV, then this one."""
    return AZURE + cells + "\n"


def vidur(cells):
    """A good line of Vidur CSV, then this one."""
    return VIDUR + cells + "\n"


CSV = {
    "azure-words": (azure("yesterday,10,5"), 3, "expected a time"),
    "azure-seconds": (azure("12.5,10,5"), 3, "expected a time"),
    "azure-date-only": (azure("2023-11-16,10,5"), 3, "expected a time"),
    "azure-us-date": (azure("11/16/2023 18:15,10,5"), 3, "expected a time"),
    "azure-month-13": (azure("2023-13-16 18:15:47.0,10,5"), 3, "month must be"),
    "azure-february-30": (azure("2023-02-30 18:15:47.0,10,5"), 3, "day"),
    "azure-hour-25": (azure("2023-11-16 25:15:47.0,10,5"), 3, "hour must be"),
    "azure-second-60": (azure("2023-11-16 18:15:60.0,10,5"), 3, "second must be"),
    "azure-year-0": (azure("0000-11-16 18:15:47.0,10,5"), 3, "year 0"),
    "azure-zone": (azure("2023-11-16 18:15:47.0+99:00,10,5"), 3, "no such time zone"),
    "azure-digits": (azure("2023-11-16 18:15:47." + "1" * 30 + ",10,5"), 3, "expected a time"),
    "azure-other-digits": (azure("２０２３-11-16 18:15:47.0,10,5"), 3, "expected a time"),
    "azure-back": (azure("2023-11-16 18:15:46.6805899,10,5"), 3, "arrives before"),
    "azure-no-time": (azure(",10,5"), 3, "found ''"),
    "azure-two-cells": (azure("2023-11-16 18:15:47.0,10"), 3, "2 cells, the header has 3"),
    "azure-four-cells": (azure("2023-11-16 18:15:47.0,10,5,1"), 3, "4 cells"),
    "azure-semicolons": (azure("2023-11-16 18:15:47.0;10;5"), 3, "1 cells"),
    "azure-quoted": (azure('"2023-11-16 18:15:47.0",10,5'), 3, "expected a time"),
    "azure-quoted-comma": (azure('2023-11-16 18:15:47.0,"1,010",5'), 3, "quoted cells are not allowed"),
    "azure-zero-tokens": (azure("2023-11-16 18:15:47.0,10,0"), 3, "GeneratedTokens: found 0"),
    "azure-negative": (azure("2023-11-16 18:15:47.0,-10,5"), 3, "found '-10'"),
    "azure-header-twice": (azure(AZURE.split("\n")[0]), 3, "found 'TIMESTAMP'"),
    "azure-header-case": (AZURE.replace("ContextTokens", "contexttokens"), 1, "did you mean 'contexttokens'"),
    "azure-column-gone": (AZURE.replace(",GeneratedTokens", ""), 1, "no column GeneratedTokens"),
    "azure-column-twice": (AZURE.replace("TIMESTAMP", "ContextTokens,TIMESTAMP"), 1, "is there 2 times"),
    "azure-header-alone": (AZURE.split("\n")[0] + "\n", 1, "a header and no requests"),
    "vidur-time-text": (vidur("soon,10,5"), 3, "expected seconds"),
    "vidur-nan": (vidur("nan,10,5"), 3, "found 'nan'"),
    "vidur-inf": (vidur("inf,10,5"), 3, "found 'inf'"),
    "vidur-overflow": (vidur("1e999,10,5"), 3, "allowed 0 to a century"),
    "vidur-negative": (vidur("-0.5,10,5"), 3, "allowed 0 to a century"),
    "vidur-back": (vidur("1.0,10,5\n0.5,10,5"), 4, "arrives before"),
    "vidur-float-tokens": (vidur("1.0,10.0,5"), 3, "found '10.0'"),
    "vidur-empty-cell": (vidur("1.0,,5"), 3, "found ''"),
    "vidur-underscore": (vidur("1.0,1_000,5"), 3, "found '1_000'"),
    "vidur-thousands": (vidur("1.0,1,000,5"), 3, "4 cells"),
    "vidur-long-digits": (vidur("1.0," + "9" * 5000 + ",5"), 3, "expected a whole number"),
    "vidur-formula": (vidur("1.0,=1+1,5"), 3, "found '=1+1'"),
    "vidur-lengths-only": ("num_prefill_tokens,num_decode_tokens\n10,5\n", 1, "no column arrived_at"),
    "vidur-no-header": ("0.0,374,44\n", 1, "expected the header"),
    "vidur-tabs": (VIDUR.replace(",", "\t"), 1, "expected the header"),
    "html": ("<!DOCTYPE html>\n<html></html>\n", 1, "expected the header"),
    "pointer-of-large-file": ("version https://git-lfs.github.com/spec/v1\n", 1, "expected the header"),
}

FILES = {
    "file-empty": (b"", 1, "the file is empty"),
    "file-blank": (b"\n\n\n", 3, "the file is empty"),
    "file-gap": (f"{GOOD}\n\n{row()}\n".encode(), 2, "an empty line between requests"),
    "file-gap-first": (f"\n{GOOD}\n".encode(), 1, "an empty line between requests"),
    "file-utf16": (GOOD.encode("utf-16"), 1, "UTF-16"),
    "file-latin1": (second(row(note=None)).encode() + b'{"caf\xe9": 1}\n', 3, "not UTF-8"),
    "file-null": (second(row()).encode() + b"\x00\x00\n", 3, "control character"),
    "file-escape": (second(row()).encode() + b"\x1b[31m\n", 3, "control character"),
    "file-gzip": (b"\x1f\x8b\x08\x00" + b"0" * 20, 1, "compressed"),
    "file-zip": (b"PK\x03\x04" + b"0" * 20, 1, "compressed"),
    "file-parquet": (b"PAR1" + b"0" * 20, 1, "Parquet"),
    "file-random": (bytes(range(128, 256)), 1, "not UTF-8"),
    "file-long-line": (second("x" * (1 << 20)).encode(), 2, "a line of more than"),
    "file-carriage-returns": (second(row()).replace("\n", "\r").encode(), 1, "control character"),
}


def all_kinds():
    """Every kind: name, bytes, line, words."""
    for table in (JSON_LINES, CSV, FILES):
        for name, (content, line, words) in table.items():
            yield name, content if isinstance(content, bytes) else content.encode(), line, words
