"""All that is to be known of a GPU, in less than 8 minutes. Writes gpu.md.

    python benchmarks/gpu.py

Parts that would begin after MINUTES are left out, by name. The paper's recipe needs MNIST_DIR.
"""
import os
import sys
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from contenders import mnist_task, ring_task
from machine import by_turns, machine, report, table
from speed import Ours, others, per_iteration, seeds
from gan_nbdev.all import coverage, experiment, mnist, parzen, parzen_sigma, ring

here = Path(__file__).parent
MINUTES = float(os.environ.get('MINUTES', 6))


def kernels(n=200):
    "How much of an iteration the GPU's kernels fill"
    rows = []
    for task in (ring_task('cuda'), mnist_task('cuda')):
        for engine in ('eager', 'graphed', 'compiled'):
            ours = Ours(task, engine=engine)
            ours.run(n)
            with profile(activities=[ProfilerActivity.CUDA]) as prof: ours.run(n)
            busy = sum(e.self_device_time_total for e in prof.key_averages())/n/1e3
            ms = by_turns({engine: per_iteration(ours, n)}, 5)[engine][0]
            rows.append([task.name, engine, f'{ms:.3g}', f'{busy:.3g}', f'{ms/busy:.2f}'])
            print(rows[-1], flush=True)
    return ("## Against the kernels' own time\n\nms an iteration, beside the sum of what its "
            'kernels, copies included, take by the profiler.\n\n'
            + table(['', 'engine', 'iteration', 'kernels', 'ratio'], rows))


def whole_runs():
    "The default ring, and the paper's recipe of 250 epochs"
    def run(data, **kw):
        e = experiment(data, device='cuda', **kw)
        trainer = e.trainer(data)
        start = time.perf_counter()
        trainer.fit(e['steps'], progress=False)
        return trainer, time.perf_counter() - start
    t, seconds = run(ring())
    c = coverage(t.sample(2500), ring())
    rows = [['gan-train ring', f'{t.iteration:,}', f'{seconds:.1f}',
             f'{c.modes} modes, {c.high_quality:.1%} high quality']]
    if os.environ.get('MNIST_DIR'):
        valid, test = mnist().x[50_000:51_000], mnist(split='test').x
        for precision in ('float32', 'tf32'):
            t, seconds = run(mnist(n=50_000), recipe='paper', precision=precision)
            x = t.gan.sample(10_000, torch.Generator('cuda').manual_seed(0))
            p = parzen(x, test.to(x.device), parzen_sigma(x, valid.to(x.device)))
            rows.append([f"the paper's recipe, {precision}", f'{t.iteration:,}', f'{seconds:.1f}',
                         f'Parzen {p.mean:.0f} ± {p.stderr:.1f} nats'])
            print(rows[-1], flush=True)
    return '## Whole runs\n\nSeconds with everything, compiling too.\n\n' + table(
        ['', 'iterations', 'seconds', 'at the end'], rows)


def main():
    if not torch.cuda.is_available(): sys.exit('torch sees no CUDA device')
    begin = time.perf_counter()
    def on_time(part):
        late = time.perf_counter() - begin > 60*MINUTES
        return f'## {part.__name__}: left out for lack of time' if late else part()
    def others_(): return others('cuda', rounds=5)
    def seeds_(): return seeds('cuda', rounds=5)
    report(here/'gpu.md', f'# On a GPU\n\nMeasured on {machine()}; written by `benchmarks/gpu.py`.',
           [lambda p=p: on_time(p) for p in (others_, whole_runs, kernels, seeds_)])


if __name__ == '__main__': main()
