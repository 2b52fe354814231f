"""Does the default GAN learn the ring?

Trains it for seeds 0 to 4 as `gan-train ring` does, and writes quality.md.

    python benchmarks/quality.py
"""
import os
import platform
import time
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '300')  # as gan-train does

import torch

from gan_nbdev.all import coverage, jsd, make_trainer, perfect_share, ring


def cpu():
    "The processor's name, as far as the system tells"
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [o.split(':')[1].strip() for o in lines if o.startswith('model name')]
    return f'{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads'


def run(seed):
    trainer, s = make_trainer(ring(), seed=seed, device='cpu')
    start = time.perf_counter()
    trainer.fit(s['steps'])
    seconds = time.perf_counter() - start
    x = trainer.sample(2500)
    c = coverage(x, trainer.data)
    return (f'| {seed} | {c.modes} of {c.modes_total} | {c.high_quality:.1%} | '
            f'{jsd(x, trainer.data):.4f} | {seconds:.0f} s |'), s


lines, s = zip(*(run(seed) for seed in range(5)))
table = '\n'.join(lines)
text = f"""# The default GAN on the ring of eight Gaussians

`gan-train ring`: {s[0]['steps']:,} iterations, m = {s[0]['batch_size']}, k = {s[0]['k']}. \
High quality is the share of 2,500 samples within 3σ of
a mode; a perfect sampler scores {perfect_share(2):.1%}.

| seed | modes | high quality | JSD (nats) | training |
|--:|:--|--:|--:|--:|
{table}

Measured on {cpu()}, torch {torch.__version__}; written by `benchmarks/quality.py`.
"""
(Path(__file__).parent/'quality.md').write_text(text)
print(text)
