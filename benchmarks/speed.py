"""How fast is training, against others and as the work grows? Writes speed.md and speed_*.png.

    python benchmarks/speed.py [others growth limit seeds start]

The contenders need what requirements.txt names; those that are missing are left out, by name.
"""
import os
import subprocess
import sys
import time
from math import nan
from dataclasses import replace
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '10000')  # torch's threads must not spin into JAX's turn
os.environ.setdefault('MPLBACKEND', 'agg')

import matplotlib.pyplot as plt
import torch
from torch.utils.data import TensorDataset

from contenders import JaxMany, contenders, mnist_task, ring_task
from machine import by_turns, failed, machine, report, table, tried
from gan_nbdev.all import (GAN, Ensemble, Samples, Stream, Trainer, adam, linear,
                           mlp_discriminator, mlp_generator, normal, uniform)
from gan_nbdev.support.devices import arithmetic

here = Path(__file__).parent
ROUNDS = int(os.environ.get('ROUNDS', 9))


# This package as a contender

class Ours:
    "A `Trainer` by one engine and precision"
    def __init__(self, task, k=1, engine='eager', precision='float32', data=None):
        self.trainer = trainer(task, k, engine=engine, precision=precision, data=data)
        self.trainer.fit(3, progress=False)

    def run(self, n):
        start = time.perf_counter()
        self.trainer.fit(n, progress=False)
        return time.perf_counter() - start

    def sample(self, n): return self.trainer.sample(n)


def trainer(task, k=1, seed=0, data=None, **how):
    noise = (normal if task.noise == 'normal' else uniform)(task.noise_dim)
    data = data or Samples(task.x, scale=None)
    begin, n = task.falls or (0, 0)
    d, g = (adam(linear(lr, 0, n, begin) if n else lr) for lr in (task.lr, task.g_lr or task.lr))
    return Trainer(GAN(*task.nets(), noise), data, k=k, batch_size=task.batch, d_rule=d, g_rule=g,
                   seed=task.seed + seed, device=task.device, **how)


def per_iteration(contender, n):
    "A function that gives the milliseconds of one of `n` iterations"
    return lambda: contender.run(n)/n*1e3


# Against others

def ours(device):
    "Engines and precisions that can differ on this device"
    names = ['eager', 'compiled'] + ['graphed']*(device == 'cuda')
    return {f'ours, {e}{", " + p if p != "float32" else ""}': (e, p)
            for e in names for p in ('float32', 'medium', 'bf16')
            if p == 'float32' or e == 'compiled'}


TASKS = (ring_task, 1000), (mnist_task, 100)   # and iterations that make good figures


def about_others(rounds, device):
    return ('The time of an iteration, one step of D and one of G, beside other libraries. Medians of '
            f"{rounds} rounds by turns, in one process; the ratios are medians of the rounds' ratios."
            + ' JAX is asked for products in float32, `jax-tf32` makes them as JAX does by itself.'*(device == 'cuda') + '\n')


def against(task, n, rounds, kinds, engines, lost):
    "Beside contenders of these kinds; what fails is told in `lost`"
    makers = {name: (kind, {}) for name, kind in kinds.items()}
    makers |= {name: (Ours, dict(engine=e, precision=p)) for name, (e, p) in ours(task.device).items()
               if engines is None or e in engines}
    made = {name: tried(lost, f'{name}, {task.name}', kind, task, **how) for name, (kind, how) in makers.items()}
    got = by_turns({name: per_iteration(c, n) for name, c in made.items() if c}, rounds)
    rows = [[f'{name} {getattr(contenders.get(name), "version", "")}', f'{mid:.3g}',
             f'{best:.3g}', f'{ratio.get("plain", nan):.2f}', f'{ratio.get("jax", nan):.2f}']
            for name, (mid, best, ratio) in got.items()]
    return (f'\n### {task.name}: {task.batch} rows a minibatch\n\n' + table(
            ['', 'ms an iteration', 'best', 'of the plain loop', 'of JAX'], rows))


def others(device='cpu', rounds=ROUNDS):
    text, lost = '## Against others\n\n' + about_others(rounds, device), []
    for kind, n in TASKS:
        text += against(kind(device), n, rounds, contenders, None, lost)
        print(text, flush=True)
    return text + failed(lost)


# As the work grows

def wider(width):
    hidden = width, width
    return lambda: (mlp_generator(2, 2, hidden, seed=0), mlp_discriminator(2, hidden, seed=1))


def turns(made, rounds, seconds=0.3):
    "Name -> median ms an iteration, each turn about that long"
    runs = {}
    for name, c in made.items():
        took = c.run(3)/3
        runs[name] = per_iteration(c, max(3, round(seconds/took)))
    return {name: mid for name, (mid, *_) in by_turns(runs, rounds).items()}


def growth(device='cpu', rounds=5):
    base = ring_task(device)
    kinds = {name: c for name, c in contenders.items() if name in ('plain', 'jax')}
    slow = {'jax': type('Jax', (kinds['jax'],), dict(block=4))} if 'jax' in kinds else {}
    kinds |= {f'ours, {e}': lambda *a, e=e, **kw: Ours(*a, engine=e, **kw)
              for e in ('eager', 'compiled')}
    cases = dict(
        batch=[(m, replace(base, batch=m), 1) for m in (32, 256, 2048, 16384)],
        width=[(w, replace(base, nets=wider(w)), 1) for w in (64, 256, 1024, 4096)],
        k=[(k, base, k) for k in (1, 2, 3, 5)])
    fig, axs = plt.subplots(1, 4, figsize=(13, 3.2))
    text = '## As the work grows\n\nThe ring, each in turn. ms an iteration.\n'
    for ax, (what, row) in zip(axs, cases.items()):
        names = list(kinds)
        rows = []
        curves = {name: [] for name in names}
        for v, task, k in row:
            long = max(task.batch/256, (v/128)**2 if what == 'width' else 1) > 10
            made = {n: kind(task, k) for n, kind in (kinds | slow if long else kinds).items()}
            for name, ms in turns(made, rounds).items(): curves[name].append(ms)
            rows.append([f'{v:,}', *(f'{curves[name][-1]:.3g}' for name in names)])
            print(what, rows[-1], flush=True)
        text += '\n' + table([what, *names], rows)
        for name, ms in curves.items(): ax.loglog([v for v, *_ in row], ms, 'o-', label=name)
        if what == 'k': ax.set(xscale='linear', yscale='linear', ylim=(0, None), xticks=range(1, 6))
        ax.set(xlabel=what, ylabel='ms an iteration')
    text += rows_of_data(axs[3], base, rounds)
    axs[0].legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(here/'speed_growth.png', dpi=110)
    return text + '\n![Milliseconds an iteration against minibatch, width, k and rows, a line for each library](speed_growth.png)\n'


def rows_of_data(ax, base, rounds):
    "In memory, where rows cost nothing but memory, and item by item from a `Dataset`"
    sizes, ms, rows = (10**3, 10**5, 10**7), {'in memory': [], 'streamed': []}, []
    for n in sizes:
        x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
        kinds = {'in memory': Samples(x, scale=None), 'streamed': Stream(TensorDataset(x))}
        made = {name: Ours(base, engine='compiled', data=data) for name, data in kinds.items()}
        for name, v in turns(made, rounds).items(): ms[name].append(v)
        rows.append([f'{n:,}', *(f'{v[-1]:.3g}' for v in ms.values())])
        print(rows[-1], flush=True)
    for name, v in ms.items(): ax.semilogx(sizes, v, 'o-', label=name)
    ax.set(xlabel='rows of data', ylabel='ms an iteration', ylim=(0, 1.1*max(map(max, ms.values())))); ax.legend(fontsize=8)
    return '\n' + table(['rows', 'in memory', 'streamed item by item'], rows)


# Many seeds

def seeds(device='cpu', rounds=ROUNDS, sizes=(4, 16, 64), engine='compiled', share=1., lost=None):
    "So many members; `share` of the iterations that make good figures; what fails beside them is told in `lost`"
    task = ring_task(device)
    data = Samples(task.x, scale=None)   # one for all: their minibatches can be drawn at once
    one = Ours(task, engine=engine, data=data)
    rows = []
    for S in sizes:
        members = [trainer(task, seed=s, data=data) for s in range(S)]
        many = Ensemble(members, engine=engine).fit(3, progress=False)
        n = max(1, round(share*max(3200//S, 400)))   # so long that a call's own cost does not show
        def run(many=many, n=n):
            start = time.perf_counter()
            many.fit(n, progress=False)
            return (time.perf_counter() - start)/n*1e3
        runs = {'one': per_iteration(one, max(1, round(1000*share))), 'many': run}
        jax = tried([] if lost is None else lost, f'jax, {S} members', JaxMany, task, S) if 'jax' in contenders else None
        if jax: runs['jax'] = per_iteration(jax, n)
        ms, _, ratio = by_turns(runs, rounds)['many']
        rows.append([S, f'{ms:.3g}', f'{ratio["one"]:.1f}', f'{ratio["one"]/S:.2f}', f'{ratio["jax"]:.2f}' if 'jax' in runs else '–'])
        print(rows[-1], flush=True)
    return ('## Many seeds at once\n\n' f'The ring by `Ensemble`, beside one run by the {engine} '
            'engine, and beside JAX. An ensemble takes all threads, the one run a single one.\n\n' + table(['members', 'ms an iteration', 'of one run',
                                   'of as many runs in a row', 'of as many by `jax.vmap`'], rows))


# Near the limit

def best_rate(side=2048, n=5):
    "Operations a second in a product of two large matrices"
    a = torch.randn(side, side)
    def one():
        start = time.perf_counter()
        a @ a
        return time.perf_counter() - start
    return 2*side**3/min(one() for _ in range(n))


def bandwidth(size, seconds=0.1):
    "Bytes a second, read and written, where a loop goes through so many bytes again and again, in caches if they fit"
    a, b = (torch.zeros(max(size//8, 1024)) for _ in 'ab')
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        b.copy_(a)
        n += 1
    return n*2*a.nbytes/(time.perf_counter() - start)


def moved(recorded):
    "Bytes that an iteration cannot spare: what each product reads and writes, and the state, which each step reads and writes"
    aten, size = torch.ops.aten, lambda n: n.meta['val'].nbytes
    products = [n for n in recorded.program.graph.nodes if n.target in (aten.mm.default, aten.addmm.default)]
    return sum(size(o) for n in products for o in (n, *n.all_input_nodes)) + 2*sum(v.nbytes for v in recorded.fixed)


def limit(rounds=5):
    base = ring_task()
    tiny = replace(base, batch=1, nets=lambda: (mlp_generator(2, 2, (2, 2), seed=0), mlp_discriminator(2, (2, 2), seed=1)))
    sizes = {f'm = {m:,}': replace(base, batch=m) for m in (32, 256, 2048, 16384)}
    sizes |= {f'width {w:,}': replace(base, nets=wider(w)) for w in (64, 256, 1024, 4096)}
    sizes["the paper's, MNIST"] = mnist_task()
    rate, made = best_rate(), {'nothing': Ours(tiny, engine='compiled')}
    rows, calls = [], turns(made, rounds)['nothing']
    for name, task in sizes.items():
        ours = Ours(task, engine='compiled')
        ms, size = turns({name: ours}, rounds)[name], moved(ours.trainer.made_engine[2])
        products, memory = arithmetic(ours.trainer)/rate*1e3, size/bandwidth(size)*1e3
        floor = max(products, memory) + calls
        rows.append([name, *(f'{o:.3g}' for o in (products, memory, calls, floor, ms)), f'{ms/floor:.2f}'])
        print(rows[-1], flush=True)
    return ("""## Near the limit

The ring's networks and others, compiled, ms an iteration. Products: their arithmetic at the rate of the best product here, \
of two matrices of 2,048 × 2,048. Memory: what the products and the optimisers must read and write, at the speed at which as \
many bytes are copied again and again. Calls: an iteration with next to nothing to do, which is Python, random numbers and \
what a call of compiled code costs. The floor is the larger of the first two, and the calls. What is above it: products too \
small to reach the best rate, and the operations between them.

""" + table(['', 'products', 'memory', 'calls', 'floor', 'measured', 'of the floor'], rows))


# The start

def start(rounds=5):
    first = '''
import sys, time
before = time.perf_counter()
import torch
torch_done = time.perf_counter()
from gan_nbdev.trainer import Trainer
from gan_nbdev import cli
step = Trainer.d_step
def stop(self): print(time.perf_counter() - torch_done, torch_done - before); sys.exit()
Trainer.d_step = stop
cli.gan_train('ring', out=sys.argv[1], quiet=True)
'''
    bare = 'import time; t = time.perf_counter(); import gan_nbdev; print(time.perf_counter() - t)'
    def seconds(code, *args):
        done = subprocess.run([sys.executable, '-c', code, *args], capture_output=True, text=True)
        return [float(v) for v in done.stdout.split()[-2 if args else -1:]]
    got = by_turns({'bare': lambda: seconds(bare)[0]*1e3,
                    'first': lambda: seconds(first, f'/tmp/speed-{time.time()}')[0]*1e3}, rounds)
    return '## The start\n\n' + table(['', 'ms'], [
        ['`import gan_nbdev`', f'{got["bare"][0]:.1f}'],
        ["`gan-train`, from torch's import to its first iteration", f'{got["first"][0]:.0f}']])


if __name__ == '__main__':
    wanted = sys.argv[1:] or ['others', 'growth', 'limit', 'seeds', 'start']
    report(here/'speed.md', '# Speed\n\n'
           f'Measured on {machine()}; written by `benchmarks/speed.py`. These machines are noisy: '
           "compare within a table. Other libraries take torch's or JAX's own number of threads, which is all; ours one for networks and minibatches as small as "
           "the ring's, up to 256 units or rows, and beyond that all.", [globals()[name] for name in wanted])
