"""A value that does not fit is said whole in both languages."""

from __future__ import annotations

import re

import pytest

from ecc_controld.sdk import BadValue, Choice, Integer, Kind, Number, Switch, Words

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("kind", "raw", "zh", "en"),
    [
        (Switch(), "maybe", "应为开或关（on、off）", "expected on or off"),
        (Number(-60, 12, "dB"), "loud", "应为数值，-60 至 12 dB", "expected a number from -60 to 12 dB"),
        (Number(-60, 12, "dB"), 13, "应为 -60 至 12 dB，得到 13", "expected -60 to 12 dB, got 13"),
        (Integer(0, 9), "1.5", "应为整数，0 至 9", "expected a whole number from 0 to 9"),
        (Integer(0, 9), 10, "应为 0 至 9，得到 10", "expected 0 to 9, got 10"),
        (
            Choice({"duty": 0, "warning": 1}),
            "dutty",
            "应为以下之一：duty、warning；是否想写 'duty'？",
            "expected one of duty, warning; did you mean 'duty'?",
        ),
        (Words(), True, "应为文字", "expected text"),
        (Words(4), "fifth", "应为一行文字，至多 4 个字符", "expected text of at most 4 characters on one line"),
    ],
)
def test_both_languages(kind: Kind, raw: object, zh: str, en: str) -> None:
    with pytest.raises(BadValue) as caught:
        kind.parse(raw)
    assert (caught.value.zh, str(caught.value)) == (zh, en)
    assert CHINESE.search(caught.value.zh)
    assert not CHINESE.search(str(caught.value))
