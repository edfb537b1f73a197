"""A machine that draws for a box: worker processes of a Dask cluster, restarted when they die."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path


def serve(scheduler: str, host: str | None, name: str | None, processes: int, folder: Path | None) -> int:
    """Draw until told to stop; returns the exit code.

    Args:
        scheduler: address, tcp://host:port.
        host: address to listen on; None for the one that reaches the scheduler.
        name: as the scheduler shows it; None for addresses.
        processes: each draws one task at a time.
        folder: for what the cluster keeps for a moment; None for the system's.
    """
    try:
        from distributed import Nanny  # an optional requirement
    except ImportError:
        print("printroom: drawing for others needs: pip install -r requirements-cluster.txt", file=sys.stderr)
        return 1

    async def run() -> int:
        nannies = [
            Nanny(
                scheduler,
                nthreads=1,  # Pillow lets other threads run, but memory is estimated for one task a process
                name=f"{name}-{number}" if name else None,
                host=host,
                local_directory=str(folder) if folder else None,
                preload=["render.draw"],
                dashboard=False,
                death_timeout=60,
            )
            for number in range(processes)
        ]
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        try:
            await asyncio.gather(*nannies)
        except (OSError, TimeoutError) as error:
            print(f"printroom: the scheduler {scheduler} does not answer ({error})", file=sys.stderr)
            return 1
        print(f"drawing for {scheduler} with {processes} processes", flush=True)
        await stopping.wait()
        await asyncio.gather(*(nanny.close() for nanny in nannies))
        return 0

    return asyncio.run(run())
