"What the benchmarks share: the machine's description, and timing of several things by turns."
import platform
import statistics
from pathlib import Path

import torch


def machine():
    "Processor, threads, GPU and versions in a line"
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [o.split(':')[1].strip() for o in lines if o.startswith('model name')]
    cpu = f'{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads'
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return f'{cpu}{gpu}, Python {platform.python_version()}, torch {torch.__version__}'


def by_turns(runs, rounds):
    """Each of `runs` (name -> function that gives ms) once a round, for `rounds` rounds.

    Gives name -> (median, best, median of the ratios to the first of the same round).
    """
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items(): times[name].append(run())
    first = times[next(iter(runs))]
    return {name: (statistics.median(ms), min(ms),
                   statistics.median(a/b for a, b in zip(ms, first)))
            for name, ms in times.items()}
