"""A simulated hall: the twins of all configured devices, in a process of their own."""

from __future__ import annotations


def simulated_secret(name: str) -> str:
    """The value of every credential in simulation, for daemon and twins alike."""
    return f"simulated-{name}"
