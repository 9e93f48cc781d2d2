"""`python -m signalcraft.storage`: prints the schema that the migrations add up to."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from signalcraft.storage import migrate
from signalcraft.storage.db import Db

with tempfile.TemporaryDirectory() as folder:
    db = Db(Path(folder) / "empty.db")
    migrate.up(db)
    sys.stdout.write(migrate.schema(db))
    db.stop()
