"""Each dialect has its codec."""

import pytest

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of, spoken


@pytest.mark.parametrize("dialect", spoken())
def test_each_dialect_has_one_codec(dialect: Dialect) -> None:
    codec = codec_of(dialect)
    assert codec.dialect == dialect
    assert codec_of(dialect) is codec
    assert codec.path("m", stream=True).startswith("/")
    assert any("k1" in value for _, value in codec.headers("k1"))
    assert codec.heartbeat.endswith(b"\n\n")
