"""Table 1 of the paper: the log-likelihood of MNIST's test images under a Parzen window on G's samples

Trains each row for several seeds, measures it as the paper does, and writes table1.json, table1.md and the pictures.
A run that was interrupted goes on where it was; one that is done is only read.

    python benchmarks/table1.py [--seeds 3] [ROW …]
"""
import argparse
import json
import sys
import time
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from machine import machine, spread, table
from gan_nbdev.all import (experiment, image_grid, metrics, mnist, nearest_ratio, parzen, parzen_sigma, plot_interpolation)

here, states = Path(__file__).parent, Path('runs/table1')
looks = 10   # on the way

def row(recipe, **changes):   # one thread, so that two rows can be trained side by side
    return lambda seed: experiment('mnist', recipe, precision='bf16', engine='compiled', device='cpu', threads=1, seed=seed, **changes)

rows = {'paper': ("the paper's recipe", row('paper')),
        'at_once': ("the paper's recipe, `--order simultaneous` as in its authors' code", row('paper', order='simultaneous')),
        'own': ('our recipe on networks of the same sizes, `gan-train mnist`', row('mnist')),
        'classes': ('the same with the class told, `--classes 10`', row('mnist', classes=10))}


class Look:
    "A hook: the figure of the samples so far, by the paper's protocol"
    def __init__(self, out, file, every):
        self.out, self.file, self.every = out, file, every
        self.start, self.before = time.perf_counter(), out.get('minutes', 0)
    def after_block(self, trainer):
        self.out['minutes'] = round(self.before + (time.perf_counter() - self.start)/60, 1)
        curve = self.out.setdefault('curve', {})
        for name, of in dict(G=trainer.gan, EMA=trainer.ema).items():
            if of is None: continue
            x = in_01(trainer, trainer.sample(10_000, of=of))
            told = parzen(x, test(), parzen_sigma(x, valid()))
            curve.setdefault(name, {})[str(trainer.iteration)] = round(told.mean, 1)
        print(trainer.iteration, {k: v[str(trainer.iteration)] for k, v in curve.items()}, flush=True)
        keep(trainer, self.file, self.out)


@cache
def valid(): return mnist(split='train').x[50_000:51_000]
@cache
def test(): return mnist(split='test').x
def in_01(trainer, x): return trainer.data.scale(x).reshape(len(x), -1)


def keep(trainer, file, out):
    trainer.save(file)
    file.with_suffix('.json').write_text(json.dumps(out))


def run(name, seed):
    "What is known of a run; it is trained as far as it has not been"
    e, file = rows[name][1](seed), states/f'{name}-{seed}.state'
    trainer = e.trainer()
    out = json.loads(file.with_suffix('.json').read_text()) if file.exists() else {}
    if file.exists(): trainer.load(file)
    trainer.hooks.append(Look(out, file, e['steps']//looks))
    if more := e['steps'] - trainer.iteration: trainer.fit(more)
    if trainer.stopped: sys.exit(130)
    x = trainer.sample(10_000)
    raw = trainer.data.unscale
    told = metrics(x, trainer.data, raw(valid()), raw(test()))
    out |= {k: round(told[k], 3) for k in ('parzen', 'parzen_stderr', 'parzen_sigma', 'parzen_real')}
    out['iterations'] = trainer.iteration
    out['nearest'] = round(nearest_ratio(in_01(trainer, x)[:1000], trainer.data.x, test()[:1000]), 3)
    keep(trainer, file, out)
    if not seed: picture(trainer, name, in_01(trainer, x))
    return out


def picture(trainer, name, x):
    "Samples, each beside the training image nearest to it, and straight lines through the noise"
    nearest = trainer.data.x[torch.cdist(x[:32], trainer.data.x).argmin(1)]
    gan = trainer.ema.gan if trainer.ema else trainer.gan
    pairs = torch.stack([x[:32], nearest], 1).flatten(0, 1)
    fig, axes = plt.subplots(1, 2, figsize=(9, 4.7), layout='constrained')
    image_grid(trainer.data.unscale(pairs), trainer.data, axes[0], n_cols=8)
    plot_interpolation(gan, trainer.data, 8, 8, ax=axes[1])
    axes[0].set_title('samples, to the right of each its nearest training image', fontsize=9)
    axes[1].set_title('from one z to another', fontsize=9)
    fig.savefig(here/f'table1_{name}.png', dpi=90)
    plt.close(fig)


def told(name, runs):
    ll = [o['parzen'] for o in runs.values()]
    one = [f"{min(o[k] for o in runs.values()):.2f}" for k in ('parzen_sigma', 'nearest')]
    alone = [[*o['curve']['G'].values()][-1] for o in runs.values()]
    return [rows[name][0], spread(ll), ', '.join(f'{o:.1f}' for o in ll),
            f'{sum(alone)/len(alone):.0f}',
            *one, f"{next(iter(runs.values()))['iterations']:,}", ', '.join('–' if o['minutes'] is None else f"{o['minutes']:.0f}" for o in runs.values())]


def page(known):
    real = next(iter(next(iter(known.values())).values()))['parzen_real']
    published = [['adversarial nets (Goodfellow et al., 2014)', '225 ± 2'], ['deep GSN', '214 ± 1.1'], ['DBN', '138 ± 2'],
                 ['stacked CAE', '121 ± 1.6'], ['conditional adversarial nets (Mirza & Osindero, 2014)', '132 ± 1.8']]
    def highest(who): return max(v for name in ('own', 'classes') for o in known.get(name, {}).values() for v in o['curve'][who].values())
    ours = [told(name, known[name]) for name in rows if name in known]
    shown = ''.join(f'\n## {rows[name][0]}, seed 0\n\n![Samples, each with its nearest training image, and walks between two noise '
                    f'vectors](table1_{name}.png)\n' for name in rows if name in known)
    curves = [[rows[name][0], who, ', '.join(f'{v:.0f}' for v in c.values())] for name in rows if name in known
              for who, c in known[name][min(known[name])].get('curve', {}).items()]
    return f"""# Table 1: the log-likelihood of MNIST's test images

How probable MNIST's test images are around G's samples, by the protocol of the paper's Table 1.

10,000 samples are the centres of a Parzen window, σ is the best of ten for the training images 50,001 to 51,000, and the figure is the mean over \
the 10,000 test images, in nats. 10,000 training images in the place of samples have {real:.1f}: **a figure above that says that the yardstick is \
being gamed**, for which blur is enough. ± is the standard error over seeds. *Nearest* is the distance from a sample to the nearest training image, in \
units of the same for test images: copies would have 0.

Our own recipe samples from an average of G's last weights; *G itself* is the figure of the last weights alone. The average makes smoother images, and \
the yardstick likes smooth images: on the way the average has up to {highest('EMA'):.0f} nats, and G itself up to {highest('G'):.0f}. So the average's \
figure is no proof that G is as good as the data, and G's own stands beside it. Minutes are of runs of which two or three shared two cores (– where \
a run was interrupted before they were kept).

{table(['MNIST', 'nats', 'seed by seed', 'G itself', 'σ', 'nearest', 'iterations', 'minutes'], ours)}
Published:

{table(['model', 'nats'], published)}
On the way, {looks} times, seed 0:

{table(['recipe', 'samples of', 'nats'], curves)}{shown}
Measured on {machine()}, precision bf16; written by `benchmarks/table1.py`.
"""


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('rows', nargs='*', default=[*rows])
    parser.add_argument('--seeds', type=int, default=3)
    args = parser.parse_args()
    states.mkdir(parents=True, exist_ok=True)
    file = here/'table1.json'
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in args.rows:
        for seed in range(args.seeds):
            if str(seed) in known.get(name, {}): continue
            done = run(name, seed)
            if file.exists(): known = json.loads(file.read_text())   # another row may have been measured meanwhile
            known.setdefault(name, {})[str(seed)] = done
            file.write_text(json.dumps(known, indent=1) + '\n')
    (here/'table1.md').write_text(page(known))
