"""Uploads into rows: encodings, formats, broken lines, and parts of the body cut anywhere."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datagen.conftest import in_parts
from tests.datagen.samples.conftest import forms
from tidemill.datagen.samples.chunks import CHUNK_BYTES, CHUNK_ROWS, pack, unpack
from tidemill.datagen.samples.contracts import FileFormat
from tidemill.datagen.samples.encoding import TextForm, detect
from tidemill.datagen.samples.errors import BinaryContent, EncodingUnknown, FormatUnknown, HeaderUnreadable
from tidemill.datagen.samples.forms import clean_name, receive_form
from tidemill.datagen.samples.lines import read_lines
from tidemill.datagen.samples.render import csv_header, csv_lines
from tidemill.datagen.samples.rows import open_rows

CHINESE = "信用卡年费是多少？每年三百元，首年免年费。"


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(data)
    return path


def read(
    tmp_path: Path, data: bytes, file_format: FileFormat, form: TextForm | None = None, limit: int = 1 << 20
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    path = written(tmp_path, data)
    source = open_rows(path, form or detect(path), file_format, limit)
    rows = [json.loads(row) for row in source]
    return rows, [(problem.line, problem.code) for problem in source.problems.first]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"plain", "utf-8"),
        (CHINESE.encode(), "utf-8"),
        (CHINESE.encode("utf-8-sig"), "utf-8-sig"),
        (CHINESE.encode("gbk"), "gb18030"),
        (("a,b\n" * 500 + "年费,300\n").encode("gbk"), "gb18030"),
        ("联系方式，𠀀生僻字".encode("gb18030"), "gb18030"),
        (b"\xff\xfe" + CHINESE.encode("utf-16-le"), "utf-16-le"),
        (b"\xfe\xff" + CHINESE.encode("utf-16-be"), "utf-16-be"),
        ((CHINESE * 20).encode() + b"\n\xff\xfe\n" + CHINESE.encode() + b"\n", "utf-8"),
    ],
)
def test_the_ladder_tells_encodings(tmp_path: Path, data: bytes, encoding: str) -> None:
    assert detect(written(tmp_path, data)).encoding == encoding


def test_western_text_is_not_taken_for_chinese(tmp_path: Path) -> None:
    data = ("é à ü café, déjà vu, naïve, garçon, señor\n" * 20).encode("cp1252")
    guessed = detect(written(tmp_path, data)).encoding
    assert guessed not in {"utf-8", "gb18030"}
    assert "café" in data.decode(guessed)


def test_big5_is_not_taken_for_gb18030(tmp_path: Path) -> None:
    text = "信用卡年費是多少？每年三百元，首年免年費。請問如何辦理繁體中文資料？" * 5
    assert detect(written(tmp_path, text.encode("big5"))).encoding.startswith("big5")


def test_the_senders_word_wins_and_unknown_words_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, CHINESE.encode("big5", "ignore"))
    assert detect(path, "BIG5").encoding == "big5"
    assert detect(path, "utf_8").encoding == "utf-8"
    with pytest.raises(EncodingUnknown) as refused:
        detect(path, "klingon")
    assert refused.value.fields[0].field == "encoding"


def test_utf16_without_a_mark_is_read_when_named(tmp_path: Path) -> None:
    data = f'{{"q": "{CHINESE}"}}\r\n{{"q": "b"}}'.encode("utf-16-le")
    with pytest.raises(BinaryContent):
        detect(written(tmp_path, data))
    rows, problems = read(tmp_path, data, "jsonl", TextForm("utf-16-le"))
    assert (rows, problems) == ([{"q": CHINESE}, {"q": "b"}], [])


def test_a_character_outside_a_named_encoding_is_a_problem_of_its_line(tmp_path: Path) -> None:
    data = b'{"a": "ok"}\n{"a": "\xff\xff"}\n{"a": "fine"}\n'
    rows, problems = read(tmp_path, data, "jsonl", TextForm("gb18030"))
    assert (rows, problems) == ([{"a": "ok"}, {"a": "fine"}], [(2, "encoding")])


def test_a_file_may_end_its_lines_with_cr_alone(tmp_path: Path) -> None:
    assert read(tmp_path, b"a,b\r1,2\r3,4", "csv")[0] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert read(tmp_path, b'{"a":1}\r{"a":2}\r', "jsonl")[0] == [{"a": 1}, {"a": 2}]


def test_an_endless_line_is_skipped_without_being_held(tmp_path: Path) -> None:
    data = b'{"a": 1}\n{"a": "' + b"x" * 5000 + b'"}\n{"a": 2}\n' + b"y" * 3000
    rows, problems = read(tmp_path, data, "jsonl", limit=1000)
    assert (rows, problems) == ([{"a": 1}, {"a": 2}], [(2, "too_long"), (4, "too_long")])
    assert max(len(line.data) for line in read_lines(tmp_path / "upload", TextForm("utf-8"), 1000)) < 1000
    wide = read(tmp_path, data.decode().encode("utf-16-le"), "jsonl", TextForm("utf-16-le"), limit=1000)
    assert wide == (rows, problems)


def test_a_jsonl_line_is_kept_byte_for_byte(tmp_path: Path) -> None:
    line = b'{"n": 1.50, "big": 123456789012345678901234567890, "u": "\\u4e2d", "a": [ 1 ]}'
    source = open_rows(written(tmp_path, b"  " + line + b" \r\n"), TextForm("utf-8"), "jsonl")
    assert list(source) == [line]
    assert list(source.columns) == ["n", "big", "u", "a"]


def test_csv_fields_hold_quotes_commas_and_line_breaks(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, 'q,a\r\n"say ""hi""","one\r\ntwo, three"\r\n\r\n年费,\r\n'.encode(), "csv")
    assert rows == [{"q": 'say "hi"', "a": "one\r\ntwo, three"}, {"q": "年费", "a": ""}]
    assert problems == []


@pytest.mark.parametrize(("mark", "name"), [("\t", "tab"), (";", "semicolon"), ("|", "bar")])
def test_other_separators_are_told_by_the_header(tmp_path: Path, mark: str, name: str) -> None:
    data = f"a{mark}b\n1{mark}{name}\n".encode()
    assert read(tmp_path, data, "csv")[0] == [{"a": "1", "b": name}]


def test_a_record_of_the_wrong_length_is_a_problem(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, b'a,b\n1,2\n3\n"x\ny",4,5\n6,7\n', "csv")
    assert rows == [{"a": "1", "b": "2"}, {"a": "6", "b": "7"}]
    assert problems == [(3, "field_count"), (4, "field_count")]


def test_blank_lines_are_no_rows_but_blank_fields_are(tmp_path: Path) -> None:
    assert read(tmp_path, b"a,b\n\n   \n , \n", "csv") == ([{"a": " ", "b": " "}], [])
    assert read(tmp_path, b"a\n\n \n", "csv") == ([{"a": " "}], [])
    assert read(tmp_path, b"a\tb\n\t\n", "csv") == ([{"a": "", "b": ""}], [])


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    body = "".join(f"{number},x\n" for number in range(100))
    rows, problems = read(tmp_path, f'a,b\n1,"open\n{body}'.encode(), "csv")
    assert len(rows) == 100
    assert problems == [(2, "bad_quotes")]
    rows, problems = read(tmp_path, f'a,b\n1,"open\n{body}'.encode(), "csv", limit=64)
    assert (len(rows), problems) == (100, [(2, "bad_quotes")])


def test_column_names_are_made_distinct(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, b"a,,a, b \n1,2,3,4\n", "csv")
    assert rows == [{"a": "1", "column_2": "2", "a_2": "3", "b": "4"}]
    assert problems == [(1, "header_renamed"), (1, "header_renamed")]


def test_lines_of_json_are_no_csv(tmp_path: Path) -> None:
    with pytest.raises(FormatUnknown):
        read(tmp_path, b'{"a": 1, "b": 2}\n{"a": 3}\n', "csv")
    with pytest.raises(HeaderUnreadable):
        read(tmp_path, b",".join(b"c%d" % number for number in range(1001)) + b"\n", "csv")


def test_a_column_beyond_the_thousandth_is_not_listed(tmp_path: Path) -> None:
    line = json.dumps({f"c{number}": 1 for number in range(1500)}).encode()
    source = open_rows(written(tmp_path, line), TextForm("utf-8"), "jsonl")
    assert len(list(source)) == 1
    assert len(source.columns) == 1001


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.csv", "a.csv"),
        ("C:\\Users\\ann\\数据.csv", "数据.csv"),
        ("../../etc/passwd", "passwd"),
        ("x\x00\n.csv", "x.csv"),
        ("", "upload"),
        ("y" * 300 + ".jsonl", "y" * 249 + ".jsonl"),
    ],
)
def test_file_names_are_made_harmless(name: str, clean: str) -> None:
    assert clean_name(name) == clean


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
TABLE = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1))
)
def test_a_table_written_as_csv_reads_back_the_same(tmp_path: Path, table: list[list[str]]) -> None:
    columns = [f"c{number}" for number in range(len(table[0]))]
    rows = [dict(zip(columns, record, strict=True)) for record in table]
    data = csv_header(columns) + csv_lines([msgspec.json.encode(row) for row in rows], columns)
    standard = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert standard == rows
    assert read(tmp_path, data, "csv") == (rows, [])


@given(rows=st.lists(st.binary(max_size=40).map(lambda row: row.replace(b"\n", b"") or b"x")))
def test_chunks_hold_every_row_in_order(rows: list[bytes]) -> None:
    pieces = list(pack(rows))
    assert [row for piece in pieces for row in unpack(piece.data)] == rows
    assert all(piece.rows == len(unpack(piece.data)) <= CHUNK_ROWS for piece in pieces)
    large = [b"x" * (CHUNK_BYTES // 2)] * 5
    assert [piece.rows for piece in pack(large)] == [1, 1, 1, 1, 1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=40),
    contents=st.lists(st.binary(max_size=500), min_size=1, max_size=3),
)
async def test_a_form_cut_anywhere_gives_the_same_files(
    tmp_path: Path, sizes: Sequence[int], contents: list[bytes]
) -> None:
    body, content_type = forms([("files", f"f{n}", data) for n, data in enumerate(contents)], {"encoding": "gbk"})

    async def cut() -> AsyncIterator[bytes]:
        start = 0
        for number in range(len(body)):
            size = sizes[number % len(sizes)]
            yield body[start : start + size]
            start += size
            if start >= len(body):
                return

    async with receive_form(cut(), content_type, tmp_path / "spool", 1 << 20) as form:
        assert [spooled.path.read_bytes() for spooled in form.files] == contents
        assert [spooled.size for spooled in form.files] == [len(data) for data in contents]
        assert form.fields == {"encoding": "gbk"}
        paths = [spooled.path for spooled in form.files]
    assert not any(path.exists() for path in paths)


async def test_a_file_past_the_limit_is_not_written_on(tmp_path: Path) -> None:
    body, content_type = forms([("files", "large", b"x" * 5_000_000), ("files", "small", b"y")])
    async with receive_form(in_parts(body, 1 << 16), content_type, tmp_path / "spool", 2_000_000) as form:
        large, small = form.files
        assert large.fault is not None
        assert large.path.stat().st_size <= 2_000_000
        assert (small.fault, small.path.read_bytes()) == (None, b"y")
