"""The child process for long-range numbers: a question a line, an answer a line, until there are no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from signalcraft.errors import Fault
from signalcraft.storage.rollups.analysing import analysed, held
from signalcraft.storage.rollups.asking import FILE, Analyse, Answer, Ask, Fold, Rebuild
from signalcraft.storage.rollups.feeding import Feed
from signalcraft.storage.rollups.file import Unusable


def serve(database: Path, asked: BinaryIO, out: BinaryIO) -> None:
    """Works on the file beside the database."""
    os.nice(10)
    worker = Worker(database)
    decoder, encoder = msgspec.json.Decoder(Ask), msgspec.json.Encoder()
    for line in asked:
        out.write(encoder.encode(worker.answered(decoder.decode(line))) + b"\n")
        out.flush()


class Worker:
    """Answers questions. Tests use it in their own process."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(FILE)
        self.feed = Feed(database, self.path)

    def answered(self, ask: Ask) -> Answer:
        """Whatever goes wrong is said in the answer."""
        try:
            return self._answer(ask)
        except Fault as problem:
            return Answer(wrong=problem.detail)
        except Exception as problem:
            text = str(problem).split("\n", 1)[0]
            return Answer(wrong=f"{type(problem).__name__}: {text}"[:500])

    def _answer(self, ask: Ask) -> Answer:
        if isinstance(ask, Fold):
            return Answer(progress=self.feed.fold(ask.now_ms, tidy=ask.tidy))
        if isinstance(ask, Rebuild):
            return Answer(progress=self.feed.rebuild(ask.now_ms))
        if isinstance(ask, Analyse):
            try:
                return Answer(analysis=analysed(self.path, ask))
            except Unusable as problem:
                return Answer(wrong=f"the long-range numbers cannot be read: {problem}")
        return Answer(held=held(self.path))
