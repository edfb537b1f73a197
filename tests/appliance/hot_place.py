"""A hot folder for tests, with time that passes when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance import claims
from appliance.hot_folders import HotFolders
from render.samples import sample_photo
from store.hot_folders import HotFolder, HotFolderNotice, sentences
from store.profiles import RenderProfile
from store.records import Record
from store.tables import Store
from tests.machine_time import SetTime

PHOTO = sample_photo(1, 90, 60)
PATIENCE_S = 60.0  # looks are waited for


class Place:
    """A hot folder, with time that passes when it is told to."""

    def __init__(self, store: Store, machine: SetTime, root: Path, **changes: Any) -> None:
        profile = store.render_profiles.add(RenderProfile(name="Lustre"))
        fields = {"name": "Lustre 8x10", "profile_id": profile.id, **changes}
        self.hot_folder = store.hot_folders.add(HotFolder.model_validate(fields))
        self.store, self.machine, self.root, self.path = store, machine, root, root / self.hot_folder.name
        self.restart()
        self.path.mkdir(parents=True, exist_ok=True)

    def drop(self, name: str, content: bytes = PHOTO) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def look(self, times: int = 1, every_s: float = 2) -> None:
        for _ in range(times):
            self.watcher.step(self.store.clock.now())
            self.machine.pass_s(every_s)

    def restart(self, **how: Any) -> None:
        self.watcher = HotFolders(self.store, self.root, **{"patience_s": PATIENCE_S, **how})

    def told(self) -> str:
        """What people are told of it."""
        notice = self.notice
        return ". ".join(sentences(self.hot_folder, notice).values()) if notice else ""

    def numbers(self) -> list[str]:
        return sorted(record.number for record in self.records)

    @property
    def records(self) -> list[Record]:
        return self.store.records.all()

    def here(self) -> list[str]:
        return sorted(name for name in (path.name for path in self.path.iterdir()) if name not in claims.OWN)

    def aside(self) -> list[str]:
        """What lies in Problems, without the reasons."""
        folder = self.path / claims.PROBLEMS
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
        return sorted(name for name in names if not name.endswith(claims.WHY))

    def why(self) -> str:
        return "".join(path.read_text() for path in (self.path / claims.PROBLEMS).glob(f"*{claims.WHY}"))

    @property
    def notice(self) -> HotFolderNotice | None:
        return self.store.hot_folder_notices.find(self.hot_folder.id)
