"""What can go wrong with sample files.

TidemillError
├── NotFound ── FileNotFound (3001), RowNotFound
├── Conflict ── FileInUse, FileChanged
├── TooLarge ── UploadTooLarge
└── BadInput ── UploadRefused ── NoFile, FileEmpty, FormatUnknown, BinaryContent, JsonArray, EncodingUnknown,
                │                NothingReadable, HeaderUnreadable, BadForm
                └── RowRefused, IndicesRefused, TargetUnknown, NothingToConvert, TooManyColumns
"""

from typing import ClassVar

from tidemill.kernel.errors import BadInput, Conflict, FieldProblem, NotFound, TooLarge
from tidemill.kernel.lang import Lang


class FileNotFound(NotFound):
    """No such sample file for this caller."""

    code = "file_not_found"
    envelope_code = 3001
    zh = "文件不存在，请检查文件编号 {file_id}。"
    en = "There is no sample file {file_id}. Check the id in the list of files."


class RowNotFound(NotFound):
    """The file has no row at that position."""

    code = "row_not_found"
    zh = "文件没有第 {index} 行：共 {rows} 行，位置从 0 开始。"
    en = "The file has no row at position {index}: it has {rows} rows, counted from 0."


class FileInUse(Conflict):
    """A task that is pending or running reads this file."""

    code = "file_in_use"
    zh = "文件正被运行中的任务使用，请先停止任务再删除。"
    en = "A running task reads this file. Stop the task, then delete the file."


class FileChanged(Conflict):
    """The file moved on since the caller looked."""

    code = "file_changed"
    zh = "文件已被其他操作修改（当前版本 {version}），请刷新后重试。"
    en = "The file has changed meanwhile (it is at version {version} now). Reload it and try again."


class UploadTooLarge(TooLarge):
    """One file past the limit for uploads."""

    code = "upload_too_large"
    zh = "文件超过上传上限 {limit_mb} MB，请拆分后再上传。"
    en = "The file is larger than the limit of {limit_mb} MB. Split it and upload the parts."


class _FieldRefused(BadInput):
    """A refusal of one field: the sentence stands in both the message and the field's problem."""

    field: ClassVar[str] = "file"

    def __init__(self, detail: str = "", **values: object) -> None:
        super().__init__(detail, fields=(), retry_after_s=None, **values)
        self.fields = self.problems("en")

    def problems(self, lang: Lang) -> tuple[FieldProblem, ...]:
        """Return the one field, with the whole sentence in ``lang``."""
        return (FieldProblem(str(self.values.get("field", self.field)), self.message(lang)),)


class UploadRefused(_FieldRefused):
    """Something about an upload that its sender can mend."""


class NoFile(UploadRefused):
    """The form holds no file."""

    code = "no_file"
    zh = "表单中没有文件，请用字段 file（单个）或 files（多个）上传。"
    en = "The form holds no file. Send one as field `file`, or several as `files`."


class BadForm(UploadRefused):
    """The body is not a readable multipart form."""

    code = "bad_form"
    zh = "请求体不是完整的 multipart/form-data 表单，请检查请求后重试。"
    en = "The body is not a complete multipart/form-data form. Check how it is sent and try again."


class FileEmpty(UploadRefused):
    """No bytes, or no rows."""

    code = "file_empty"
    zh = "文件为空，请上传至少含一行数据的 JSONL 或 CSV 文件。"
    en = "The file is empty. Upload a JSONL or CSV file with at least one row."


class FormatUnknown(UploadRefused):
    """Neither JSONL nor CSV by name or content."""

    code = "format_unknown"
    zh = "无法识别文件格式，请上传 .jsonl（每行一个 JSON 对象）或 .csv 文件。"
    en = "The format is not known. Upload a .jsonl file (one JSON object a line) or a .csv file."


class BinaryContent(UploadRefused):
    """Bytes that are no text."""

    code = "binary_content"
    zh = "这是二进制文件（{kind}），不是文本；请另存为 UTF-8 的 CSV 或 JSONL 后再上传。"
    en = "This is a binary file ({kind}), not text. Save it as CSV or JSONL in UTF-8 and upload that."


class JsonArray(UploadRefused):
    """One JSON document where lines were expected."""

    code = "json_document"
    zh = "文件是一个完整的 JSON 文档；请改为 JSONL：每行一个 JSON 对象。"
    en = "The file is one JSON document. Write it as JSONL: one JSON object a line."


class EncodingUnknown(UploadRefused):
    """The characters could not be told."""

    code = "encoding_unknown"
    zh = "无法判断文件编码，请另存为 UTF-8，或用 encoding 参数指明编码。"
    en = "The encoding could not be told. Save the file as UTF-8, or name it in the field `encoding`."


class NothingReadable(UploadRefused):
    """Every line is bad."""

    code = "nothing_readable"
    zh = "没有一行可以读取。第 {line} 行：{reason}"
    en = "Not one line could be read. Line {line}: {reason}"


class HeaderUnreadable(UploadRefused):
    """A CSV file without a usable first line."""

    code = "header_unreadable"
    zh = "CSV 的首行必须是列名，请检查第 1 行。"
    en = "The first line of a CSV file must name the columns. Check line 1."


class RowRefused(_FieldRefused):
    """A row that cannot be kept."""

    field = "data"
    code = "row_refused"
    zh = "{field}：行必须是非空的 JSON 对象，且不超过 {limit_kb} KB。"
    en = "{field}: a row must be a JSON object with at least one field, of at most {limit_kb} KB."


class IndicesRefused(_FieldRefused):
    """Positions that the file does not have, or too many of them."""

    field = "indices"
    code = "indices_refused"
    zh = "indices 须为 1–{limit} 个位置，每个在 0–{last} 之间；{wrong} 不符合，未删除任何行。"
    en = "`indices` must hold 1–{limit} positions, each between 0 and {last}; {wrong} is not. Nothing was deleted."


class TargetUnknown(_FieldRefused):
    """A format that files cannot be converted to."""

    field = "target_format"
    code = "target_format_unknown"
    zh = "目标格式只能是 jsonl、csv 或 utf-8。"
    en = "The target format must be jsonl, csv or utf-8."


class NothingToConvert(_FieldRefused):
    """The file is already what was asked for."""

    field = "file_ids"
    code = "nothing_to_convert"
    zh = "文件已经是 {target}，无需转换。"
    en = "The file is already {target}; there is nothing to convert."


class TooManyColumns(_FieldRefused):
    """A table that no CSV reader would take."""

    field = "file"
    code = "too_many_columns"
    zh = "不同的列名超过 {limit} 个，不能写成 CSV，请使用 JSONL。"
    en = "There are more than {limit} different columns, too many for CSV. Use JSONL."
