"""Simulated schedulers of serving engines: in each step, every running request stores one more token in the cache."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Request:
    isl: int
    osl: int
    made: int = 0
    is_preempted: bool = False

    @property
    def tokens(self) -> int:
        return self.isl + self.made

    @property
    def rest(self) -> int:
        return self.osl - self.made


@dataclass
class Engine:
    """An engine with a constant number of requests, whose lengths differ by up to ``spread`` from their means."""

    space: int
    isl: int
    osl: int
    concurrency: int
    spread: float = 0.2
    source: random.Random = field(default_factory=lambda: random.Random(7))
    running: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = [self.request() for _ in range(self.concurrency)]

    def request(self) -> Request:
        isl, osl = (
            max(1, round(size * (1 + self.spread * (2 * self.source.random() - 1)))) for size in (self.isl, self.osl)
        )
        return Request(isl, osl)

    @property
    def used(self) -> int:
        return sum(each.tokens for each in self.running)

    def grow(self) -> list[Request]:
        """Generate a token for each running request, and return the requests that are preempted to make room."""
        for each in self.running:
            each.made += 1
        return []

    def admits(self, request: Request) -> bool:
        """Return whether a request fits if all output is reserved."""
        return sum(each.isl + each.osl for each in (*self.running, request)) <= self.space

    def run(self, requests: int) -> tuple[float, float]:
        """Return the mean number of running requests, and the tokens computed again for each one that ended.

        Steps before half of the requests have ended do not count.
        """
        steps = running = again = ended = 0
        while ended < requests:
            is_counted = 2 * ended >= requests
            preempted = self.grow()
            steps, running = steps + is_counted, running + is_counted * len(self.running)
            done = [each for each in self.running if not each.rest]
            self.running = [each for each in self.running if each.rest]
            ended += len(done)
            self.waiting += [self.request() for _ in done]
            while not preempted and self.waiting and self.admits(self.waiting[0]):
                new = self.waiting.pop(0)
                again += is_counted * new.is_preempted * new.tokens
                self.running.append(new)
        return running / steps, again / (ended - requests / 2)


class Preempting(Engine):
    """Admits a request if its present tokens fit, and preempts the newest one (vLLM)."""

    preemptions = 0

    def grow(self) -> list[Request]:
        preempted, used, place = list[Request](), self.used, 0
        while place < len(self.running):
            if used < self.space:
                self.running[place].made += 1
                used, place = used + 1, place + 1
                continue
            last = self.running.pop()
            last.is_preempted = True
            used -= last.tokens
            preempted.append(last)
            self.waiting.insert(0, last)
            self.preemptions += 1
        return preempted

    def admits(self, request: Request) -> bool:
        return self.used + request.tokens <= self.space


class Estimating(Engine):
    """Reserves a share of the output of running requests, which falls until some have to be retracted (SGLang)."""

    share, first, lowest, steps, most = 0.7, 0.7, 0.7 * 0.14, 600, 4096

    def grow(self) -> list[Request]:
        self.share = max(self.share - (self.first - self.lowest) / self.steps, self.lowest)
        if self.used + len(self.running) > self.space:
            self.running.sort(key=lambda each: (-each.made, each.isl))
            while self.used + len(self.running) > self.space and len(self.running) > 1:
                last = self.running.pop()
                last.is_preempted = True
                self.waiting.append(last)
            made, whole = (sum(sizes) for sizes in zip(*((each.made, each.osl) for each in self.running), strict=True))
            self.share = min((made + 20 * len(self.running)) / (whole + 1), 1.0)
        return super().grow()

    def admits(self, request: Request) -> bool:
        reserved = self.share * sum(min(each.rest, self.most) for each in self.running)
        return self.used + reserved + request.tokens + min(request.rest, self.most) < self.space
