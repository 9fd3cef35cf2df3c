"""ecc_controld: a control daemon for the hardware of an emergency command hall."""

__version__ = "0.1.0"
