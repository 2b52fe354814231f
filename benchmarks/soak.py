"""A million iterations of a tiny GAN: does memory grow, does it slow down?

    python benchmarks/soak.py                      10⁶ iterations, writes benchmarks/soak.md
    python benchmarks/soak.py --steps 100000       fewer, printed only
"""
import argparse
import resource
import time
from pathlib import Path

import torch
from machine import machine, table

from gan_nbdev.data import normal, ring
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.trainer import Trainer


def resident():
    "Memory of this process, MB"
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages*resource.getpagesize()/1e6


class Watch:
    "Notes time and memory at regular iterations"
    def __init__(self, every): self.every, self.rows = every, {}
    def before_fit(self, trainer, n): self.rows[0] = time.perf_counter(), resident()
    def after_block(self, trainer): self.rows[trainer.iteration] = time.perf_counter(), resident()


def soak(steps, engine):
    "Memory at 1/100, 1/10 and all of the steps; iterations a second in the 2nd and the last tenth"
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    watch = Watch(steps//100)
    t = Trainer(gan, ring(), batch_size=16, device='cpu', engine=engine, hooks=[watch])
    t.fit(steps, progress=False)
    assert len(t.history['value']) == steps
    def rate(a, b): return (b - a)/(watch.rows[b][0] - watch.rows[a][0])
    early, tenth, end = steps//100, steps//10, steps
    return {**{f'MB at {i:,} iterations': f'{watch.rows[i][1]:.1f}' for i in (early, tenth, end)},
            'growth after the first hundredth':
                f'{watch.rows[end][1]/watch.rows[early][1] - 1:+.2%}',
            'iterations/s in the second tenth': f'{rate(tenth, 2*tenth):,.0f}',
            'iterations/s in the last tenth': f'{rate(end - tenth, end):,.0f}'}


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=10**6)
    parser.add_argument('--engine', default='compiled')
    args = parser.parse_args()
    rows = soak(args.steps, args.engine)
    print('\n'.join(f'{k}: {v}' for k, v in rows.items()))
    if args.steps == 10**6:
        Path(__file__).with_suffix('.md').write_text('\n'.join([
            '# A million iterations', '', f'Written by `benchmarks/soak.py`. {machine()}.', '',
            f'Whether memory grows, or training slows down, in a long run. The ring with one hidden layer of 8 units in each network, m = 16, '
            f"`engine='{args.engine}'`.", '',
            table(['', ''], rows.items())]))
