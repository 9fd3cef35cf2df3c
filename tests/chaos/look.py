"""Open the journal of a state directory as a start does, and print what it remembers (for places that only a
process in their own mount namespace can see).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from ecc_controld.journal import Journal


async def main(state: Path) -> None:
    journal = Journal.open(state, stamp="simulated")
    found = journal.recall()
    await journal.close()
    active = found.puts["hold"].get("active")
    remembered = {
        "quarantined": journal.quarantined is not None,
        "keys": [key.key for key in found.keys],
        "scene": None if active is None else json.loads(active)["scene"],
        "manual": {point: json.loads(blob)["want"]["value"] for point, blob in found.puts["manual"].items()},
    }
    print(json.dumps(remembered))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
