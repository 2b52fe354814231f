"""Which game is best, if each may try as many settings as any other?

On each data set every game has the same tries: its settings in the library, and the same random factors on its rates and
on its own number. The best of them is trained again from new seeds. What fair.json has of a game is not trained again, nor are
runs in runs/fair, so what was interrupted goes on. Writes fair.json, fair.md and fair.png.

    python benchmarks/fair.py [--processes 2] [ring grid digits mnist]
"""
import argparse
import math
import random
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import torch
from scipy.stats import mannwhitneyu
from machine import known_in, put, spread, table, written
from torch import nn
from gan_nbdev.all import (digits, experiment, fid, games, grid, jsd, jsd_floor, mean_and_error, mnist, palette,
                           perfect_share, ring, study)

here, runs = Path(__file__).parent, Path('runs/fair')
tries, seeds = 8, [1, 2, 3, 4, 5]
steps = dict(ring=5_000, grid=8_000, digits=3_000, mnist=1_000)
images = dict(digits=digits, mnist=mnist)
of_its_own = {'wasserstein': 'clip', 'wgan-gp': 'weight', 'r3gan': 'weight', 'dragan': 'weight', 'began': 'gamma', 'pearson': 'r1'}


def draws():
    "Factors on D's rate, on G's and on the game's own number, and whether D has dropout: the same for every game"
    rng, n = random.Random(0), tries - 1
    def factors():   # one from each of n equal parts of the range
        return [4**((2*i + 1)/n - 1) for i in rng.sample(range(n), n)]
    return [(1., 1., 1., True), *zip(factors(), factors(), factors(), rng.sample([True, False]*n, n))]


def usual(name, game):
    "The library's settings for a game, on networks that are the same for all but BEGAN, whose D is an autoencoder"
    shared = dict(ring='points', mnist='images').get(name)   # these have a recipe for the usual game alone
    same = {'recipe': shared} if shared and game == 'non-saturating' else {}
    return experiment(name, game=game, steps=steps[name], ema=None, device='cpu', engine='compiled', threads=1,
                      precision='bf16' if name == 'mnist' else 'float32', **same)


def tried(name, game):
    "The settings that a game may try: one `Experiment` each"
    e = usual(name, game)
    def with_factors(d, g, number, dropout):
        changes = {'d_rule.lr': round(e['d_rule']['lr']*d, 6), 'g_rule.lr': round(e['g_rule']['lr']*g, 6)}
        if game in of_its_own:
            options = dict(e['game']) if isinstance(e['game'], dict) else dict(name=game, weight=.1)
            own = of_its_own[game]
            value = options[own]*number
            changes['game'] = options | {own: round(min(value, 1.) if own == 'gamma' else value, 4)}
        if name in images and not dropout: changes |= {'discriminator.dropout': 0., 'discriminator.input_dropout': 0.}
        return e.changed(changes)
    return [with_factors(*o) for o in draws()]


@cache
def features(name):
    "The last hidden layer of a classifier that is trained here on the real images: 32 numbers an image"
    d = images[name]()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(d.dim, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, d.classes))
    rule = torch.optim.Adam(net.parameters())
    for _ in range(1500):
        i = torch.randint(len(d.x), (200,))
        nn.functional.cross_entropy(net(d.x[i]), d.labels[i]).backward()
        rule.step()
        rule.zero_grad()
    return net[:-1].requires_grad_(False)


@cache
def real(name):
    "Real images that samples are compared with, and sets of as many others, which stand for a perfect sampler"
    if name == 'mnist': return mnist(split='test').x, mnist(split='train').x.unflatten(0, (6, 10_000))
    x, rng = digits().x, torch.Generator().manual_seed(0)
    half = x[torch.randperm(len(x), generator=rng)[:len(x)//2]]   # G is trained on these too
    return half, x[torch.randint(len(x), (100, len(half)), generator=rng)]


def distance(trainer):
    "FID of as many samples as there are real images to compare with"
    name = trainer.data.name
    x, _ = real(name)
    return fid(trainer.data.scale(trainer.sample(len(x))), x, features(name))


def floor(name):
    "The mean figure of real items"
    if name not in images: return jsd_floor(2500, dict(ring=ring, grid=grid)[name]())
    x, others = real(name)
    return sum(fid(o, x, features(name)) for o in others)/len(others)


def figure(name): return 'fid' if name in images else 'jsd'


def compared(name, out, pool, keep):
    "For each game what its tries had, its best try, and what that has from new seeds; `out` has what is known"
    metrics = {'fid': distance} if name in images else None
    def trained(what, g, settings, seeds):
        said = study(settings, seeds, metrics, runs/f'{name}-{what}-{g}', pool)
        if said.stopped: raise SystemExit(130)
        return said
    for g in games:
        if g in out: continue
        found = [v[0] if v else None for v in trained('search', g, tried(name, g), [0]).values(figure(name))]
        found = [v if v is not None and math.isfinite(v) else None for v in found]
        out[g] = dict(search=found, best=min(range(tries), key=lambda i: math.inf if found[i] is None else found[i]))
        keep()
    for g, o in out.items():
        if figure(name) in o: continue
        again = trained('best', g, [tried(name, g)[o['best']]], seeds)
        o.update((m, again.values(m)[0]) for m in again.metrics)
        keep()


# ---- the page

titles = dict(ring='Ring of 8 Gaussians', grid='Grid of 25 Gaussians', digits='Digits, 8 × 8', mnist='MNIST')


def of_best(name, o):
    v = o[figure(name)]
    if name in images: return [spread(v, '{:.2f}')]
    return [spread(v, '{:.3f}'), spread(o['modes'], '{:.1f}'), spread(o['high_quality'], '{:.1%}')]


def changed(name, g, i):
    apart = tried(name, g)[0].differences(tried(name, g)[i])
    told = {k: v for k, (_, v) in apart.items() if not isinstance(v, dict)}   # whose entries are told one by one
    return ', '.join(f'{k} {v if not isinstance(v, float) else format(v, ".2g")}' for k, v in told.items()) or 'the usual ones'


def part(name, known):
    "A table, the best game first"
    def mean(g): return mean_and_error(v)[0] if (v := known['games'][g][figure(name)]) else math.inf
    rows = []
    for g in sorted(known['games'], key=mean):
        o = known['games'][g]
        done = [v for v in o['search'] if v is not None]
        form = '{:.2f}' if name in images else '{:.3f}'
        first = 'failed' if o['search'][0] is None else form.format(o['search'][0])
        rows.append([g, *of_best(name, o), first, form.format(median(done)), tries - len(done), changed(name, g, o['best'])])
    what = ['FID'] if name in images else ['JSD (nats)', 'modes', 'high quality']
    real = f"{known['floor']:.2f} (mean)" if name in images else f"{known['floor']:.4f}"
    more = '' if name in images else f' A perfect sampler has a high quality of {perfect_share(2):.1%}.'
    return f"""## {titles[name]}

{steps[name]:,} iterations. Real items have {real}.{more}

{table(['game', *what, 'usual settings', 'median try', 'failed tries', 'what the best changes'], rows)}"""


def picture(known):
    fig, axes = plt.subplots(1, len(known), figsize=(2.6*len(known) + 1.4, 4.6), sharey=True, layout='constrained', squeeze=False)
    for ax, (name, o) in zip(axes[0], known.items()):
        for i, g in enumerate(games):
            values = o['games'][g][figure(name)]
            ax.plot(values, [i]*len(values), 'o', ms=4, mew=0, alpha=.5, color=palette['generator'])
            if values:
                mean, error, _ = mean_and_error(values)
                ax.errorbar(mean, i, xerr=error, fmt='|', ms=12, lw=1.5, capsize=3, color=palette['data'])
        ax.axvline(o['floor'], ls=':', color='gray')
        ax.set(xscale='log', title=titles[name], xlabel='FID' if name in images else 'JSD (nats)', yticks=range(len(games)),
               yticklabels=[*games], ylim=(len(games) - .5, -.5))
    fig.savefig(here/'fair.png', dpi=90)
    plt.close(fig)


def near_best(name, known):
    "The game with the least figure, and those that five seeds cannot tell from it"
    told = {g: mean_and_error(v).mean for g, o in known['games'].items() if len(v := o[figure(name)]) > 1}
    best = min(told, key=told.get)
    values = known['games'][best][figure(name)]
    return best, [g for g in told if g != best and mannwhitneyu(values, known['games'][g][figure(name)]).pvalue > .05]


def concluded(known):
    lines = []
    for name, o in known.items():
        best, near = near_best(name, o)
        others = f'; of the others a rank test (Mann–Whitney, p > 0.05) cannot tell from it: {", ".join(near)}' if near else ', and a rank test tells all others from it'
        lines.append(f'- {titles[name]}: {best}{others}.')
    return '\n'.join(lines)


def page(known):
    several = ', '.join(f'{g} {k}' for g in games if (k := usual('mnist', g)['k']) > 1)
    return f"""# Games compared, each with the same number of tries

Which game learns a data set best, if each may try as many settings as any other.

The usual comparison takes each game with the settings of its authors, or of whoever compares, and measures above all who had the better settings \
(Lucic et al., 2018). Here every game has {tries} tries on each data set, one run each from seed 0: the library's own settings, and {tries - 1} with random \
factors between 0.3 and 3.3 on D's rate, on G's rate and on the game's own number (a clip, a weight, γ), on images with or without D's dropout. The factors \
are the same for all games (but BEGAN's γ is at most 1). The best try is trained again from {len(seeds)} new seeds, and only these count. Networks, minibatch and iterations are the same \
for all, but BEGAN's D, an autoencoder; a game that takes several steps of D in an iteration has more of them ({several}), which counts most where iterations are few, as on MNIST.

A try has failed if its figure is not a finite number. On points the figure is the JSD from the true density; on images the Fréchet distance (FID) between features of samples and real images, 32 numbers \
from a classifier that is trained on the spot, so that it compares with no published FID. Both are better when smaller, and of real items above 0: those of digits are drawn again from all 1,797, which G has seen too (the mean of a hundred sets; single ones lie from 0.7 to 5). \
± is the standard error over the seeds; *usual settings* and *median try* are from seed 0.

![Each seed of the best settings, mean and standard error, by game and data; the dotted line is what real items have](fair.png)

The best game on each data set:

{concluded(known)}

What this shows: how far a game gets here with a small search. What it does not: that a game is better in itself, or how much the search was worth to it, \
for what was best from one seed is often worse from five others. \
{tries} tries of up to four numbers leave most settings untried; more iterations, other networks or other data may turn the order round; and five \
seeds tell only large differences: of five against five the least p is 0.008, each data set has {len(games) - 1} such tests, and p is not corrected for that, nor for the winner being chosen from the \
same runs. So *tells from it* is a hint, and *cannot tell* is the safer word.

{chr(10).join(part(name, o) for name, o in known.items())}
{written('fair')}"""


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('data', nargs='*', default=[*steps])
    parser.add_argument('--processes', type=int, default=2)
    args = parser.parse_args()
    file = here/'fair.json'
    known = known_in(file)
    keep = partial(put, file, known)
    with ProcessPoolExecutor(args.processes) as pool:
        for name in args.data:
            compared(name, known.setdefault(name, {}).setdefault('games', {}), pool, keep)
            known[name]['floor'] = floor(name)
            keep()
            done = {k: known[k] for k in steps if 'floor' in known.get(k, {})}
            picture(done)
            (here/'fair.md').write_text(page(done))
            print(page(done), flush=True)
