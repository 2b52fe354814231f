"""How well is a small table learned?

178 wines, 13 measurements, conditional on the grower: the recipe for tables, and that for points, which lacks R1,
for seeds 0 to 4, two runs side by side. Writes tables.md.

    python benchmarks/tables.py [--steps 3000]
"""
import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '300')  # as gan-train does

import torch
from machine import machine, spread, table as as_markdown
from sklearn.datasets import load_wine
from gan_nbdev.all import experiment, metrics, obeyed, obeyed_real, table

figures = 'sliced_wasserstein', 'precision', 'recall', 'coverage', 'nearest_ratio', 'two_sample_accuracy', 'correlation_gap', 'obeyed'


def run(recipe, seed, steps):
    torch.set_num_threads(1)
    data = table(load_wine(as_frame=True).frame, label='target')
    e = experiment(data, recipe, seed=seed, steps=steps, batch_size=64, device='cpu', engine='compiled')
    t = e.trainer(data).fit(steps, progress=False)
    z, y = t.gan.draw(2500, torch.Generator().manual_seed(0))
    x = data.unscale(t.gan.generate(z, y))
    return metrics(x, data) | dict(obeyed=obeyed(x, y, data), obeyed_real=obeyed_real(data))


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--steps', type=int, default=3000)
    steps = parser.parse_args().steps
    with ProcessPoolExecutor(2) as pool:
        asked = {r: [pool.submit(run, r, s, steps) for s in range(5)] for r in ('tables', 'points')}
        found = {r: [o.result() for o in runs] for r, runs in asked.items()}
    def said(r, k): return spread([o[k] for o in found[r]], '{:.2f}')
    rows = [[k, said('tables', k), said('points', k), f"{found['tables'][0][k + '_real']:.2f}"] for k in figures]
    text = f"""# A small table

How well a small table is learned: 178 wines, conditional on the grower. {steps:,} iterations, m = 64, seeds 0 to 4, mean ± standard
error. Obeyed is of 2,500 samples, beside each wine judged by the others; the other figures are of 89 samples beside 89 wines, and those
of real items of the one half of the wines beside the other. G has learned from both halves, so a good copy comes nearer to a half than
the other half does: figures better than those of real items are no proof of quality.

{as_markdown(['figure', 'recipe for tables (R1)', 'recipe for points', 'real'], rows)}
Measured on {machine()}; written by `benchmarks/tables.py`.
"""
    (Path(__file__).parent/'tables.md').write_text(text)
    print(text)
