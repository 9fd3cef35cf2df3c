"""The configuration of a hall: `config/*.yaml` to frozen models, every error with file, line and column."""

from .load import check, load_hall
from .model import Device, Hall, Source

__all__ = ["Device", "Hall", "Source", "check", "load_hall"]
