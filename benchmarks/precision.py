"""Does a lower precision cost quality, and how long until a given quality? Writes precision.md.

    python benchmarks/precision.py [ring mnist]

MNIST needs MNIST_DIR.
"""
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '10000')

from contenders import contenders, mnist_task, ring_task
from machine import machine, report, table
from speed import Ours
from gan_nbdev.all import coverage, mean_and_error, mnist, parzen, parzen_sigma, ring
from gan_nbdev.experiments import experiment

here = Path(__file__).parent


class Runs:
    "A contender that is looked at every few iterations; its seconds are those of training alone"
    def __init__(self, contender):
        self.contender, self.seconds, self.iterations, self.seen = contender, 0., 0, []

    def go_on(self, n, look):
        self.seconds += self.contender.run(n)
        self.iterations += n
        self.seen.append((self.iterations, self.seconds, look(self.contender.sample)))

    def until(self, good):
        "Iterations and seconds until what was seen is good, or None"
        return next(((i, s) for i, s, v in self.seen if good(v)), None)

    @property
    def last(self): return self.seen[-1][-1]


compiled = [('compiled', p) for p in ('float32', 'medium', 'bf16')]


def ways(task, others, ours):
    "Name -> `Runs` of the task"
    made = {name: Runs(contenders[name](task)) for name in others if name in contenders}
    return made | {f'ours, {e}, {p}': Runs(Ours(task, engine=e, precision=p)) for e, p in ours}


def by_recipe(task, data, name, seed=0):
    "The task with a recipe's networks, rates and minibatch, and the recipe's length"
    e = experiment(data, name, seed=2*seed, device='cpu')
    t = e.trainer(data)
    d_rate, g_rate = (rule.hypers['lr'] for rule in (t.d_rule, t.g_rule))
    def nets():
        gan = e.gan(data)
        return gan.generator, gan.discriminator
    return replace(task, nets=nets, seed=seed, batch=e['batch_size'], lr=d_rate.start,
                   g_lr=g_rate.start, falls=(d_rate.begin, d_rate.n)), e['steps']


def ring_by_precision(seeds=range(5), every=250):
    def look(sample):
        c = coverage(sample(2500), ring())
        return c.modes, c.high_quality
    def good(v): return v[0] == 8 and v[1] >= 0.95
    found = {}
    for seed in seeds:
        task, steps = by_recipe(ring_task(), ring(), 'points', seed)
        made = ways(task, ('plain', 'jax', 'jax-bf16'), [('eager', 'float32'), *compiled])
        for _ in range(0, steps, every):
            for run in made.values(): run.go_on(every, look)
        for name, run in made.items(): found.setdefault(name, []).append(run)
        print(seed, {n: (r.last, r.until(good)) for n, r in made.items()}, flush=True)
    rows = []
    for name, runs in found.items():
        modes, share = (mean_and_error([r.last[i] for r in runs]) for i in (0, 1))
        there = [r.until(good) for r in runs if r.until(good)]
        took = mean_and_error([s for _, s in there]) if there else None
        after = mean_and_error([i for i, _ in there]) if there else None
        rows.append([name, f'{modes.mean:.1f}', f'{share.mean:.1%} ± {share.error:.1%}',
                     f'{len(there)} of {len(runs)}',
                     f'{after.mean:,.0f}' if after else '–',
                     f'{took.mean:.1f} ± {took.error:.1f}' if took else '–'])
    return ('## The ring: the recipe for points, five seeds\n\n'
            'Whether a lower precision costs quality, and what it saves. Modes and high-quality share '
            f'after {steps:,} iterations; then how many seeds reached 8 of 8 modes and 95% high quality, '
            'and after how many iterations and seconds of training (compiling not counted). Measured every '
            f'{every} iterations; all contenders by turns.\n\n'
            + table(['', 'modes', 'high quality', 'reached', 'iterations', 'seconds'], rows))


def mnist_by_precision(every=2000, goals=(150, 200, 225)):
    task, steps = by_recipe(mnist_task(), mnist(), 'images')
    valid, test = mnist().x[50_000:51_000], mnist(split='test').x
    def look(sample):
        fakes = sample(10_000)
        return parzen(fakes, test, parzen_sigma(fakes, valid))
    made = ways(task, ('jax', 'jax-bf16'), compiled)
    for _ in range(0, steps, every):
        for name, run in made.items():
            run.go_on(every, look)
            print(name, run.iterations, f'{run.seconds:.0f} s', run.last, flush=True)
    rows = []
    for name, run in made.items():
        reached = [run.until(lambda v, g=g: v.mean >= g) for g in goals]
        rows.append([name, f'{run.last.mean:.0f} ± {run.last.stderr:.1f}', f'{run.seconds:.0f}',
                     *('{1:.0f} ({0:,})'.format(*r) if r else '–' for r in reached)])
    real = task.x[:10_000]
    ceiling = parzen(real, test, parzen_sigma(real, valid))
    return ('## MNIST: the recipe for larger images\n\n'
            '`--recipe images`, samples of the last weights; the command samples from an average, which is not measured here. MNIST has a recipe of its own, measured in table1.md. '
            f'Parzen-window log-likelihood in nats after {steps:,} iterations (one run each; ± is over the test '
            'images; JAX, which keeps no running statistics, samples by those of the fakes), '
            'seconds of training, and the seconds (iterations) after which a figure was first '
            f'reached, if it was. Measured every {every:,} iterations, all by turns. With as many real images '
            f'as centres: {ceiling.mean:.0f} ± {ceiling.stderr:.1f}.\n\n'
            + table(['', 'at the end', 'seconds', *(f'until {g}' for g in goals)], rows))


if __name__ == '__main__':
    parts = dict(ring=ring_by_precision, mnist=mnist_by_precision)
    wanted = sys.argv[1:] or [p for p in parts if p != 'mnist' or os.environ.get('MNIST_DIR')]
    report(here/'precision.md', '# Precision and quality\n\n'
           f'Measured on {machine()}; written by `benchmarks/precision.py`.',
           [parts[name] for name in wanted])
