"""Does the default GAN learn the ring?

Trains it for seeds 0 to 4 as `gan-train ring` does, and writes quality.md.

    python benchmarks/quality.py
"""
import os
import time
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '300')  # as gan-train does

from machine import machine, table
from gan_nbdev.all import coverage, experiment, jsd, perfect_share


def run(seed):
    e = experiment('ring', seed=seed, device='cpu')
    trainer = e.trainer()
    start = time.perf_counter()
    trainer.fit(e['steps'])
    seconds = time.perf_counter() - start
    x = trainer.sample(2500)
    c = coverage(x, trainer.data)
    return [seed, f'{c.modes} of {c.modes_total}', f'{c.high_quality:.1%}',
            f'{jsd(x, trainer.data):.4f}', f'{seconds:.0f} s'], e


rows, e = zip(*(run(seed) for seed in range(5)))
text = f"""# The default GAN on the ring of eight Gaussians

How well `gan-train ring` learns the ring, seed by seed. {e[0]['steps']:,} iterations, m = {e[0]['batch_size']}, k = {e[0]['k']}. \
High quality is the share of 2,500 samples within 3σ of
a mode; a perfect sampler scores {perfect_share(2):.1%}.

{table(['seed', 'modes', 'high quality', 'JSD (nats)', 'training'], rows)}
Measured on {machine()}; written by `benchmarks/quality.py`.
"""
(Path(__file__).parent/'quality.md').write_text(text)
print(text)
