"""Manual control: one wish at a time, taken back, or a movement while a key is held down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Layer, Life, Prereq, State, Wish
from ecc_controld.journal import Change, Counter, Put
from ecc_controld.sdk.point import BadValue, Value

from .acceptance import Acceptance, Press, Refused, manual_blob
from .keeper import Keeper
from .law import Event, Facts

PRIORITY = 50
LIMIT_S = 60.0
REST_S = 8.0
"""How long a camera may take to come to rest after a movement before its place is taken as it is."""

STRIVING = (State.NEW, State.WAITING, State.READY, State.SENT, State.ACKED, State.DOUBT)


class Hands:
    """Manual wishes of people and programs."""

    def __init__(
        self, acceptance: Acceptance, keepers: Mapping[str, Keeper], fire: Callable[[], Refused | None]
    ) -> None:
        self._acceptance = acceptance
        self._store = acceptance.store
        self._wishes = acceptance.wishes
        self._keepers = keepers
        self._fire = fire
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._resting: dict[str, asyncio.Task[None]] = {}
        self._store.on_life.append(self._life_changed)
        for keeper in keepers.values():
            keeper.on_rest = self._rest

    async def set(self, entry: Entry, value: Value, press: Press) -> Wish:
        """Want a value by hand; returns when it is durable. Raises Refused (409 fire, 503 disk)."""
        self._refuse_in_fire()
        number = self._store.next_number()
        self._store.pending.add(number)
        wish = Wish(
            number=number,
            point=entry.name,
            value=value,
            layer=Layer.MANUAL,
            by=press.by,
            since=time.time(),
            accepted=self._loop.time(),
            priority=PRIORITY,
            limit_s=LIMIT_S,
            settle_s=entry.point.settle_s,
            on_return=entry.point.on_return,
            prereqs=self._prereqs(entry),
        )
        cause = Facts(reason="overridden", detail=press.by)
        swap = self._wishes.set_manual({entry.name: wish}, number=number, cause=cause)
        change = Change(
            puts=(Put("manual", entry.name, manual_blob(wish)),), counters=(Counter("wish", self._store.number),)
        )
        await self._acceptance.settle(swap, change, PRIORITY)
        self._acceptance.note_event("set", point=entry.name, value=value, by=press.by)
        return wish

    def _prereqs(self, entry: Entry) -> tuple[Prereq, ...]:
        """What the driver says must come first, as far as somebody wants it: `input` waits for a warming `power`."""
        device = self._store.by_device[entry.device]
        first = set(entry.point.after) | {
            other.local for other in device.values() if entry.local in other.point.disturbs
        }
        tops = [(device[local].name, device[local].top) for local in sorted(first)]
        return tuple(Prereq(name, top.value, "go_on") for name, top in tops if top is not None)

    async def release(self, entry: Entry, press: Press) -> bool:
        """Take a manual wish back; False if there was none."""
        if Layer.MANUAL not in entry.layers:
            return False
        number = self._store.next_number()
        self._store.pending.add(number)
        swap = self._wishes.release_manual([entry.name], number=number, cause=Facts(detail=press.by))
        await self._acceptance.settle(swap, Change(puts=(Put("manual", entry.name, None),)), PRIORITY)
        self._acceptance.note_event("release", point=entry.name, by=press.by)
        return True

    async def wait(self, entry: Entry, wish: Wish, timeout_s: float) -> Life | None:
        """Wait for the outcome of a wish; None if the time ends first or another wish replaced it."""
        try:
            async with asyncio.timeout(timeout_s):
                while entry.living is wish:
                    life = entry.life
                    if life is not None and life.outcome is not None:
                        return life
                    waiter: asyncio.Future[None] = self._loop.create_future()
                    self._waiters.setdefault(entry.name, []).append(waiter)
                    await waiter
        except TimeoutError:
            pass
        return None

    def hold(self, entry: Entry, value: Value, press: Press) -> None:
        """Start or renew a momentary movement."""
        self._refuse_in_fire()
        for local in entry.point.disturbs:
            resting = self._resting.pop(self._store.by_device[entry.device][local].name, None)
            if resting is not None:
                resting.cancel()
        self._keepers[entry.device].hold(entry.local, value, press.by)

    async def close(self) -> None:
        """Stop watching movements that come to rest."""
        for task in self._resting.values():
            task.cancel()
        await asyncio.gather(*self._resting.values(), return_exceptions=True)

    # -- inside ------------------------------------------------------------------------------------------

    def _refuse_in_fire(self) -> None:
        refused = self._fire()
        if refused is not None:
            raise refused

    def _life_changed(self, entry: Entry, wish: Wish, life: Life) -> None:
        for waiter in self._waiters.pop(entry.name, []):
            if not waiter.done():
                waiter.set_result(None)

    def _rest(self, name: str, by: str) -> None:
        """A movement has ended: the place where it comes to rest becomes a manual wish."""
        older = self._resting.pop(name, None)
        if older is not None:
            older.cancel()
        task = self._loop.create_task(self._adopt_rest(self._store.entries[name], by))
        self._resting[name] = task
        task.add_done_callback(lambda done: self._rested(name, done))

    def _rested(self, name: str, done: asyncio.Task[None]) -> None:
        if self._resting.get(name) is done:
            del self._resting[name]

    async def _adopt_rest(self, entry: Entry, by: str) -> None:
        keeper = self._keepers[entry.device]
        seen: Value | None = None
        try:
            async with asyncio.timeout(REST_S):
                while True:
                    value = await keeper.read_anew(entry.local)
                    if value is not None and value == seen:
                        break
                    seen = value
        except TimeoutError:
            pass
        try:
            place = entry.point.kind.parse(entry.observed)
            await self.set(entry, place, Press(by=by, trigger="momentary"))
        except (BadValue, Refused):
            # It cannot say where it is, or it may not be kept: whoever wanted it before wants it still.
            keeper.ledger.fire(entry, Event.RESUME, self._loop.time())
