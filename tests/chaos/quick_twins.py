"""`ecc-twins` whose devices warm up and move quickly, so that a kill every second finds something under way."""

from __future__ import annotations

import sys

from ecc_controld.twins.__main__ import main
from ecc_drivers.pjlink.twin import PJLinkTwin
from ecc_drivers.visca.twin import ViscaTwin

PJLinkTwin.warm_s = PJLinkTwin.cool_s = 0.4
ViscaTwin.power_up_s = 0.4
ViscaTwin.pan_full_s = ViscaTwin.tilt_full_s = ViscaTwin.zoom_full_s = 1.0

if __name__ == "__main__":
    sys.exit(main())
