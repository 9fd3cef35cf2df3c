"""The error tree, split by who must act."""

from __future__ import annotations

from .text import Text


class EccError(Exception):
    """Base of everything that ecc_controld raises on purpose."""


class ConfigError(EccError):
    """The engineer must change a file; raised while loading, never later.

    A driver raises it from its constructor; `option` names the key below `options:` (dotted) so that the
    loader can add file, line and column. `valid` lists the accepted names where there are such.
    """

    def __init__(self, text: Text, *, option: str | None = None, valid: tuple[str, ...] = ()) -> None:
        super().__init__(text.en)
        self.text = text
        self.option = option
        self.valid = valid


class Rejected(EccError):
    """The device said no. `busy` means: the same command may succeed a little later."""

    def __init__(self, reason: str, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.busy = busy


class LinkError(EccError):
    """The connection failed; trying again will mend it. `code` is a stable reason code (link/reasons.py)."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class LinkRefused(LinkError):
    """The device answered, but not to us: wrong password, wrong model. Retried only after a long delay."""


class ProtocolError(EccError):
    """Bytes that break the protocol."""


class LocalProtocolError(ProtocolError):
    """Our own bug: the driver tried to say something that the protocol cannot express."""


class RemoteProtocolError(ProtocolError):
    """The device sent something that the protocol does not allow; the connection is aborted."""
