"""Table 1 of the paper: the log-likelihood of MNIST's test images under a Parzen window on G's samples

Trains each row for several seeds, measures it as the paper does, and writes table1.json, table1.md and the pictures.
A run that was interrupted goes on where it was; one that is done is only read. MNIST comes as `gan-train mnist` finds it. Rows in which the rates fall
go on from the state of another row's run in runs/table1, and are left out, with a word, where that is not there.

    python benchmarks/table1.py [--seeds 3] [ROW …]
    python benchmarks/table1.py --why [NAME …]   # does the paper's recipe get going, with one thing changed?
"""
import argparse
import json
import sys
import time
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from machine import keep as keep_in, known_in, spread, table, written
from gan_nbdev.all import (experiment, image_grid, linear, metrics, mnist, momentum_sgd, nearest_ratio, parzen, parzen_sigma, plot_interpolation)

here, states = Path(__file__).parent, Path('runs/table1')
looks, more = 10, 25_000   # on the way; iterations after the 250 epochs of the paper's recipe

def row(recipe, precision='bf16', **changes):   # one thread, so that two rows can be trained side by side
    return lambda seed: experiment('mnist', recipe, precision=precision, engine='compiled', device='cpu', threads=1, seed=seed, **changes)

at_once = dict(order='simultaneous', ema=3500)
falling = {'falling': 'paper', 'longer_falling': 'longer', 'longest_falling': 'longest'}   # and the row with whose end it begins
rows = {'paper': ("the paper's recipe", row('paper', ema=3500)),
        'falling': ('and 50 epochs more, in which the rates fall to 0', row('paper', ema=3500, steps=125_000 + more)),
        'at_once': ("the paper's recipe, `--order simultaneous` as in its authors' code", row('paper', **at_once)),
        'float32': ('the same in float32, 25 epochs', row('paper', 'float32', **at_once, steps=12_500)),
        'longer': ('the same in bf16, 320 epochs', row('paper', **at_once, steps=160_000)),
        'longer_falling': ('and 50 epochs more, in which the rates fall to 0', row('paper', **at_once, steps=160_000 + more)),
        'longest': ('the same in bf16, 450 epochs', row('paper', **at_once, steps=225_000)),
        'longest_falling': ('and 50 epochs more, in which the rates fall to 0', row('paper', **at_once, steps=225_000 + more)),
        'own': ('our recipe on networks of the same sizes, `gan-train mnist`', row('mnist')),
        'classes': ('the same with the class told, `--classes 10`', row('mnist', classes=10))}
ours = 'own', 'classes'   # samples of the average; of the others' it is only looked at

beginning, begun = 2_500, range(5)   # iterations, seeds
why = {'as it is': {},
       '`--order simultaneous`, the same fakes and masks for both players': {'order': 'simultaneous'},
       'float32 in place of bf16': {'precision': 'float32'},
       'one mask for an image and a fake': {},
       'no dropout in D while G learns': {},
       'no dropout in D': {'discriminator.dropout': 0., 'discriminator.input_dropout': 0.},
       "D's first weights from ±0.05, not ±0.005": {'discriminator.init': .05},
       "G's output starts at a half, not at the mean image": {'generator.out_bias': None},
       'no momentum': {f'{p}.{k}': 0. for p in ('d_rule', 'g_rule') for k in ('momentum', 'schedule.momentum.to')},
       "D's rate ÷ 3": {'d_rule.lr': .05/3},
       'both rates ÷ 3': {'d_rule.lr': .05/3, 'g_rule.lr': .1/3},
       'noise of 0.1 on what D sees': {'game': dict(name='non-saturating', noise=.1)},
       'batch normalisation in G': {'generator.norm': 'batch'},
       'Adam (2·10⁻⁴, β 0.5 and 0.999) for both': {p: dict(name='adam', lr=2e-4, betas=[.5, .999]) for p in ('d_rule', 'g_rule')}}


class WhileDLearns(nn.Dropout):
    "Dropout that rests while G learns, when D's weights are frozen"
    def forward(self, x): return super().forward(x) if self.weight.requires_grad else x

class OneMask(nn.Dropout):
    "In D's step the same units are dropped for the i-th image and the i-th fake, which it sees one after the other"
    mask = None
    def forward(self, x):
        if not self.training or not self.weight.requires_grad: return super().forward(x)
        if self.mask is not None: mask, self.mask = self.mask, None
        else: mask = self.mask = super().forward(torch.ones_like(x))
        return x*mask

others = {'one mask for an image and a fake': OneMask, 'no dropout in D while G learns': WhileDLearns}


def changed(name, seed):
    "The trainer of the paper's recipe with one thing changed"
    e = row('paper')(seed)
    if name not in others: return e.changed(why[name]).trainer()
    trainer = e.changed({'engine': 'eager'}).trainer()
    D = trainer.gan.discriminator
    for i, m in enumerate(D):
        if isinstance(m, nn.Dropout):
            D[i] = others[name](m.p)
            vars(D[i])['weight'] = D[-1].weight   # not as a parameter of its own
    return trainer


class OneImage:
    "A hook: stops when all that G makes is still, or again, one image"
    every = 500
    def after_block(self, trainer):
        if trainer.iteration >= 1500 and one_image(in_01(trainer, trainer.sample(100, of=trainer.gan))): trainer.stop('one image')


def begins(name, seed):
    "Does G make more than one image when D has learned to tell them?"
    trainer = changed(name, seed)
    trainer.hooks.append(OneImage())
    trainer.fit(beginning, progress=False)
    if trainer.stopped not in (None, 'one image'): sys.exit(130)
    spread = in_01(trainer, trainer.sample(1000, of=trainer.gan)).std(0).mean().item()
    return dict(spread=round(spread, 5), iteration=trainer.iteration)


class Look:
    "A hook: the figure of the samples so far, by the paper's protocol"
    def __init__(self, out, file, every):
        self.out, self.file, self.every = out, file, every
        self.start, self.before = time.perf_counter(), out.get('minutes', 0)
    def after_block(self, trainer):
        self.out['minutes'] = round(self.before + (time.perf_counter() - self.start)/60, 1)
        curve = self.out.setdefault('curve', {})
        for name, of in dict(G=trainer.gan, EMA=trainer.ema).items():
            x = in_01(trainer, trainer.sample(10_000, of=of))
            told = parzen(x, test(), parzen_sigma(x, valid()))
            if of is trainer.gan and one_image(x):   # no gradient comes back through its pixels
                self.out['over'] = True
                trainer.stop()
            curve.setdefault(name, {})[str(trainer.iteration)] = round(told.mean, 1)
        print(trainer.iteration, {k: v[str(trainer.iteration)] for k, v in curve.items()}, flush=True)
        keep(trainer, self.file, self.out)


@cache
def valid(): return mnist(split='train').x[50_000:51_000]
@cache
def test(): return mnist(split='test').x
def one_image(x): return x.std(0).mean() < .002   # a pixel's standard deviation; real images have 0.2
def in_01(trainer, x): return trainer.data.scale(x).reshape(len(x), -1)


def keep(trainer, file, out):
    trainer.save(file)
    file.with_suffix('.json').write_text(json.dumps(out))


def run(name, seed):
    "What is known of a run; it is trained as far as it has not been"
    e, file = rows[name][1](seed), states/f'{name}-{seed}.state'
    trainer = e.trainer()
    out = json.loads(file.with_suffix('.json').read_text()) if file.exists() else {}
    if name in falling:
        start, before = e['steps'] - more, states/f'{falling[name]}-{seed}.state'
        if not file.exists():
            trainer.load(before)
            if trainer.iteration != start: sys.exit(f'{before} is of iteration {trainer.iteration:,}, and not {start:,}')
        trainer.change(**{f'{p}_rule': momentum_sgd(linear(lr/1.000004**start, 0., more, start), .7) for p, lr in dict(d=.05, g=.1).items()})
    if file.exists(): trainer.load(file)
    trainer.hooks.append(Look(out, file, (more if name in falling else e['steps'])//looks))
    if (left := e['steps'] - trainer.iteration) and 'over' not in out: trainer.fit(left)
    if trainer.stopped and 'over' not in out: sys.exit(130)
    drawn = trainer.ema.gan if name in ours else trainer.gan
    x = trainer.sample(10_000, of=drawn)
    raw = trainer.data.unscale
    told = metrics(x, trainer.data, raw(valid()), raw(test()))
    out |= {k: round(told[k], 3) for k in ('parzen', 'parzen_stderr', 'parzen_sigma', 'parzen_real')}
    out['iterations'] = trainer.iteration
    out['nearest'] = round(nearest_ratio(in_01(trainer, x)[:1000], trainer.data.x, test()[:1000]), 3)
    keep(trainer, file, out)
    if not png_of(name).exists(): picture(trainer, name, in_01(trainer, x), drawn)
    return out


def png_of(name): return here/f'table1_{name}.png'


def picture(trainer, name, x, gan):
    "Samples, each beside the training image nearest to it, and straight lines through the noise"
    nearest = trainer.data.x[torch.cdist(x[:32], trainer.data.x).argmin(1)]
    pairs = torch.stack([x[:32], nearest], 1).flatten(0, 1)
    fig, axes = plt.subplots(1, 2, figsize=(9, 4.7), layout='constrained')
    image_grid(trainer.data.unscale(pairs), trainer.data, axes[0], n_cols=8)
    plot_interpolation(gan, trainer.data, 8, 8, ax=axes[1])
    axes[0].set_title('samples, to the right of each its nearest training image', fontsize=9)
    axes[1].set_title('from one z to another', fontsize=9)
    fig.savefig(png_of(name), dpi=90)
    plt.close(fig)


def told(name, every):
    runs = {k: o for k, o in every.items() if 'over' not in o}
    looked = [o for o in runs.values() if 'EMA' in o['curve']]   # at both
    ll = ['one image' if 'over' in o else f"{o['parzen']:.1f}" for o in every.values()]
    means = [f"{sum(o[k] for o in runs.values())/len(runs):.2f}" for k in ('parzen_sigma', 'nearest')]
    def ends(who): return [[*o['curve'][who].values()][-1] for o in looked]
    both = [f'{sum(v)/len(v):.0f}' if (v := ends(who)) else '–' for who in ('G', 'EMA')]
    return [rows[name][0], spread([o['parzen'] for o in runs.values()]), ', '.join(ll), *both, *means,
            f"{next(iter(runs.values()))['iterations']:,}", ', '.join('–' if o['minutes'] is None else f"{o['minutes']:.0f}" for o in runs.values())]


def beginnings(begins):
    "Which changes let the paper's recipe get going, from how many seeds"
    def row(name, seeds): return [name, f"{sum(o['spread'] > .05 for o in seeds.values())} of {len(seeds)}", ', '.join(f"{o['spread']:.4f}" for o in seeds.values())]
    return table(['what is changed', 'gets going', 'standard deviation of a pixel, seed by seed'], [row(k, begins[k]) for k in why if k in begins])


def page(known):
    real = next(iter(next(iter(known.values())).values()))['parzen_real']
    published = [['adversarial nets (Goodfellow et al., 2014)', '225 ± 2'], ['deep GSN', '214 ± 1.1'], ['DBN', '138 ± 2'],
                 ['stacked CAE', '121 ± 1.6'], ['conditional adversarial nets (Mirza & Osindero, 2014)', '132 ± 1.8']]
    def highest(name, who): return f"{max(v for o in known.get(name, {}).values() for v in o['curve'][who].values()):.0f}"
    measured = [told(name, known[name]) for name in rows if name in known]
    shown = ''.join(f'\n## {rows[name][0]}, seed {min(known[name])}\n\n![Samples, each with its nearest training image, and walks between two noise '
                    f'vectors](table1_{name}.png)\n' for name in rows if name in known and png_of(name).exists())
    def over_images():
        errors = sorted(o['parzen_stderr'] for name in rows for o in known.get(name, {}).values() if 'over' not in o)
        return f'± {errors[0]:.1f} to {errors[-1]:.1f}'
    def fullest(name): return max((o['curve'] for o in known[name].values() if 'over' not in o), key=len)
    curves = [[rows[name][0], who, ', '.join(f'{v:.0f}' for v in c.values())] for name in rows if name in known for who, c in fullest(name).items()]
    def ends(name, who): return ' and '.join(f"{[*o['curve'][who].values()][-1]:.0f}" for o in known[name].values() if 'over' not in o and who in o['curve'] and 'EMA' in o['curve'])
    def curve(name, who): return [*fullest(name)[who].values()]
    def both_of(name, i=-1): return f"{curve(name, 'G')[i]:.0f} nats and its average {curve(name, 'EMA')[i]:.0f}"
    longer = f"""Length is another part: with both players at once and the rates as its authors' code has them, a run of 320 epochs has {both_of('longer')}, \
and both still rise: 40,000 iterations before they had {curve('longer', 'G')[-3]:.0f} and {curve('longer', 'EMA')[-3]:.0f}. """ if 'longer' in known else ''
    longer += f"50 epochs more in which the rates fall to 0 make {curve('longer_falling', 'G')[-1]:.0f} of that, and {curve('longer_falling', 'EMA')[-1]:.0f}. " if 'longer_falling' in known else ''
    longer += f"Another run, of 450 epochs{', of which no picture was kept,'*(not png_of('longest').exists())} has {both_of('longest')}" if 'longest' in known else ''
    longer += f", and after 50 in which the rates fall to 0 {both_of('longest_falling')}" if 'longest_falling' in known else ''
    longer += '. '*('longest' in known)
    longer += f"""Precision is no such part: after 25 epochs a run in float32 has {both_of('float32')}, one in bf16 {curve('at_once', 'G')[0]:.0f} and {curve('at_once', 'EMA')[0]:.0f}. """ if 'float32' in known else ''
    falls = f". 50 epochs more in which the rates fall to 0 bring the weights themselves to {ends('falling', 'G')}, and their average, which is less smooth then, to {ends('falling', 'EMA')}" if 'falling' in known else ''
    return f"""# Table 1: the log-likelihood of MNIST's test images

How probable MNIST's test images are around G's samples, by the protocol of the paper's Table 1.

10,000 samples are the centres of a Parzen window, σ is the best of ten for the training images 50,001 to 51,000, and the figure is the mean over \
the 10,000 test images, in nats. 10,000 training images in the place of samples have {real:.1f}: **a figure above that says that the yardstick is \
being gamed**, for which blur is enough. ± is the standard error over seeds; σ and *nearest* are their means. *Nearest* is the distance from a sample to the nearest training image, in \
units of the same for test images: copies would have 0.

Our own recipe samples from an average of G's last weights, the paper's from the last weights themselves; *G itself* and *its average* have the figures of \
both, of the runs in which both were looked at (means). The average makes smoother images, and the yardstick likes smooth images: told the classes, the average has up to {highest('classes', 'EMA')} nats on the way, and G itself up \
to {highest('classes', 'G')}; without them {highest('own', 'EMA')} and {highest('own', 'G')}. So the average's \
figure is no proof that G is as good as the data, and G's own stands beside it. All is trained with `--precision bf16`, which the commands do not have by themselves, unless the row says otherwise. Minutes, of rows that \
begin *and 50 epochs more* those of these alone, are of runs of which two or three shared two cores (– where a run was interrupted before they were kept).

{table(['MNIST', 'nats', 'seed by seed', 'G itself', 'its average', 'σ', 'nearest', 'iterations', 'minutes'], measured)}
Published (± is over the test images; ours of that kind would be {over_images()}):

{table(['model', 'nats'], published)}
On the way and at the end, one seed of each:

{table(['recipe', 'samples of', 'nats'], curves)}
## What keeps the paper's recipe from 225 nats

**Whether it begins.** For some 200 iterations $D$, whose first weights are tiny, tells nothing apart; then within a hundred it learns to tell everything. \
Either G finds an answer, or its pixels are driven so far into the flat ends of their sigmoids that hardly a gradient comes back: all noise makes next to the \
same image, D(x) is 1, D(G(z)) is 0, and nothing changes any more (seed 2 above: −567 nats; where the standard deviation of a pixel is some thousandths, it may yet). With the players in turns, as the paper prints it, this is a matter of chance: \
run again on another machine, seed 0, which has a figure above, failed. With both at once, as in the code of the paper's authors, no run failed. The table has {beginning:,} \
iterations of the recipe in turns with one thing changed (and by the eager engine where masks are); it has got going where a pixel's standard deviation over 1,000 samples, \
averaged over the image, is above 0.05, and is given up where it is below 0.002 after 1,500:

{beginnings(known['begins'])}
**What it comes to.** A good part of what is missing is noise of the last steps, whose rates are still at 0.6 of what they were at first: the average of G's \
weights has {ends('paper', 'EMA')} nats where the weights themselves have {ends('paper', 'G')}, from the same run{falls}. {longer}The paper does not say how long its authors \
trained, and their code has no rule to stop: its rates are at a tenth of their first values after 1,150 epochs, where the recipe here ends after 250, when the \
momentum has reached its last value. What the rest is for want of we have not found.
{shown}
{written('table1')}"""


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('rows', nargs='*')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--why', action='store_true', help='names of changes to the paper\'s recipe follow; none: all')
    args = parser.parse_args()
    states.mkdir(parents=True, exist_ok=True)
    file = here/'table1.json'
    known = known_in(file)
    if args.why:
        for name in args.rows or why:
            for seed in begun:
                if str(seed) not in known.get('begins', {}).get(name, {}): keep_in(file, begins(name, seed), 'begins', name, str(seed))
    else:
        for name in args.rows or rows:
            for seed in range(args.seeds):
                if str(seed) in known.get(name, {}): continue
                if name in falling and not any((states/f'{o}-{seed}.state').exists() for o in (name, falling[name])):
                    print(f'{name}, seed {seed}: there is no {states}/{falling[name]}-{seed}.state to go on from', file=sys.stderr)
                else: keep_in(file, run(name, seed), name, str(seed))
    (here/'table1.md').write_text(page(known_in(file)))
