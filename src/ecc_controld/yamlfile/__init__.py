"""Strict YAML with positions: every scalar stays text, every error has file, line and column."""

from .fields import (
    Fields,
    as_bool,
    as_int,
    as_items,
    as_mapping,
    as_name,
    as_seconds,
    as_text,
    as_word,
    plain,
)
from .nodes import FilesInvalid, Mapping, Mark, Node, Problem, Problems, Scalar, Sequence, nearest, one_of
from .parse import parse
from .source import MAX_BYTES, Source, folder, read

__all__ = [
    "MAX_BYTES",
    "Fields",
    "FilesInvalid",
    "Mapping",
    "Mark",
    "Node",
    "Problem",
    "Problems",
    "Scalar",
    "Sequence",
    "Source",
    "as_bool",
    "as_int",
    "as_items",
    "as_mapping",
    "as_name",
    "as_seconds",
    "as_text",
    "as_word",
    "folder",
    "nearest",
    "one_of",
    "parse",
    "plain",
    "read",
]
