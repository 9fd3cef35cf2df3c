"""All that a driver may import: points, exchanges, codecs, sessions, twins. Nothing else of the core."""

from .codec import Codec, DelimitedFramer
from .driver import DeviceConfig, Driver, Identity, NoOptions
from .errors import (
    ConfigError,
    EccError,
    LinkError,
    LinkRefused,
    LocalProtocolError,
    ProtocolError,
    Rejected,
    RemoteProtocolError,
)
from .exchange import Answer, Exchange, Judge, Refusal, Verdict
from .point import Action, BadValue, Choice, Integer, Kind, Number, Point, Reading, Switch, Value, Words
from .session import Session
from .text import Text
from .twin import FAULTS, LogEntry, Peer, TcpTwin, Twin, UdpTwin
from .wire import Address, ByteWire

__all__ = [
    "FAULTS",
    "Action",
    "Address",
    "Answer",
    "BadValue",
    "ByteWire",
    "Choice",
    "Codec",
    "ConfigError",
    "DelimitedFramer",
    "DeviceConfig",
    "Driver",
    "EccError",
    "Exchange",
    "Identity",
    "Integer",
    "Judge",
    "Kind",
    "LinkError",
    "LinkRefused",
    "LocalProtocolError",
    "LogEntry",
    "NoOptions",
    "Number",
    "Peer",
    "Point",
    "ProtocolError",
    "Reading",
    "Refusal",
    "Rejected",
    "RemoteProtocolError",
    "Session",
    "Switch",
    "TcpTwin",
    "Text",
    "Twin",
    "UdpTwin",
    "Value",
    "Verdict",
    "Words",
]
