"""One-shot actions that a person or a program asks for: sent at most once a press, recorded with who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ecc_controld.hall.store import Store
from ecc_controld.journal import Change

from .acceptance import Acceptance, Press
from .keys import Keys
from .run import Deed
from .wishes import Swap

Do = Callable[[str, str, Callable[[str, str, str], None]], None]
ENDED = ("acknowledged", "failed", "unknown")
KEEP = 200


@dataclass(slots=True, eq=False)
class Asked:
    """An action that was asked for; `over` is set once its state is final."""

    deed: Deed
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it ended in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.over.wait()
        except TimeoutError:
            return False
        return True


class Deeds:
    """Sends actions. `do(device, action, tell)` is the keeper's queue."""

    def __init__(self, acceptance: Acceptance, keys: Keys, do: Do) -> None:
        self._acceptance = acceptance
        self._store: Store = acceptance.store
        self._keys = keys
        self._do = do
        self._asked: dict[str, Asked] = {}

    async def act(self, device: str, action: str, press: Press) -> Asked:
        """Send it, once its key is durable. A key's second use gets the first one's deed, or `unknown` after a
        restart. Raises Refused: 422 key reused, 503 the disk failed (nothing was sent).
        """
        if self._keys.known(press) is not None:
            return self._first(device, action, press)
        asked = Asked(Deed(device, action))
        if press.key is not None:
            await self._remember(press, asked)
        self._acceptance.note_event("action", device=device, action=action, by=press.by)

        def tell(_: str, state: str, reason: str) -> None:
            asked.deed.state, asked.deed.reason = state, reason
            if state in ENDED:
                asked.over.set()

        self._do(device, action, tell)
        return asked

    def _first(self, device: str, action: str, press: Press) -> Asked:
        assert press.key is not None
        asked = self._asked.get(press.key)
        if asked is None:
            asked = Asked(Deed(device, action, "unknown"))
            asked.over.set()
        return asked

    async def _remember(self, press: Press, asked: Asked) -> None:
        assert press.key is not None
        rows = self._keys.take(press, "")
        self._asked[press.key] = asked
        while len(self._asked) > KEEP:
            del self._asked[next(iter(self._asked))]
        try:
            await self._acceptance.settle(Swap(self._store.next_number()), Change(keys=rows), 0)
        except BaseException:
            self._keys.forget(press)
            self._asked.pop(press.key, None)
            asked.deed.state, asked.deed.reason = "failed", "journal"
            asked.over.set()
            raise
