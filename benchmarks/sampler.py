"""How good a sampler does Algorithm 1 make, where the density is known?

Trains the ring, the grid and other densities from several seeds, one thread each, and writes sampler.json and sampler.md.
Runs that are done are only read, so what was interrupted goes on.

    python benchmarks/sampler.py [--seeds 10] [--processes 2] [DATA …]
"""
import argparse
import math
import time
from functools import partial
from pathlib import Path

import torch
from machine import by_seed, spread, table, written
from scipy.stats import chisquare
from torch import nn
from gan_nbdev.all import (GAN, GaussianMixture, Trainer, adam, checkerboard, coverage, experiment, grid, jsd, jsd_floor, linear,
                           mixture_1d, perfect_share, ring, sliced_wasserstein, swiss_roll, two_moons)

here, n = Path(__file__).parent, 2500


def corners(dim, n_modes=20):
    "Gaussians of σ = 0.1 at random corners of a cube, no two at the same"
    drawn = torch.randint(2, (2*n_modes, dim), generator=torch.Generator().manual_seed(0))*2. - 1
    means = [*dict.fromkeys(map(tuple, drawn.tolist()))][:n_modes]
    return GaussianMixture(means, .1, name=f'{n_modes} corners in {dim}-D')

modes = dict(ring=ring, grid=grid)
others = dict(two_moons=two_moons, swiss_roll=swiss_roll, checkerboard=checkerboard,
              uneven=partial(mixture_1d, (-3., 0., 2.), (.5, .2, .8), (.2, .5, .3)),
              corners_10=partial(corners, 10), corners_100=partial(corners, 100))
data = {**modes, **others}
recipes = 'points', 'exact'
to_scale = 'exact, noise to scale'
theirs = {f"PacGAN's networks{more}": pack for more, pack in {'': 1, ', packs of 2': 2, ', packs of 4': 4}.items()}
epoch, epochs = 1_000, 40   # iterations; they train for 400
finer = {'exact, then sines': 60_000, 'longer, then sines': 150_000, 'coins, then sines': 60_000}   # iterations before the sines
for_modes = dict(ring=[*(o for o in finer if 'longer' not in o), *theirs], grid=[*finer, *theirs])   # the page says why


def half_spread(d):
    "Half of how far the data are from their middle (root mean square): 0.5 for the ring, which the recipe's noise suits"
    x = drawn(d, 0)
    return round((x - x.mean(0)).square().sum(1).mean().sqrt().item()/2, 2)


def drawn(d, seed): return d.sample(n, torch.Generator().manual_seed(seed))


class Sine(nn.Module):
    def forward(self, x): return x.sin()


def sines(d, seed, n=128):
    "A D that resolves what is much narrower than the data, after Sitzmann et al. (2020); d: the data"
    torch.manual_seed(seed)
    first, *rest = [nn.Linear(n_in, n) for n_in in (d.dim, n, n)]
    with torch.no_grad():
        first.weight.normal_(0, 7/d.sample(10_000, torch.Generator().manual_seed(0)).std().item())
        first.bias.uniform_(-math.pi, math.pi)
        for o in rest: o.weight.uniform_(-(6/n)**.5, (6/n)**.5)
    return nn.Sequential(*(m for o in (first, *rest) for m in (o, Sine())), nn.Linear(n, 1))


def onward(trainer, steps=20_000):
    "The average of G goes on against a new D of sines, without noise, at smaller rates"
    gan, data, seed = trainer.gan, trainer.data, trainer.seed
    gan.generator.load_state_dict(trainer.ema.gan.generator.state_dict())
    def falling(lr, to): return adam(linear(lr, to, steps*4//5), (0., .99))
    t = Trainer(GAN(gan.generator, sines(data, seed), gan.noise), data, k=2, batch_size=1024, d_rule=falling(1e-3, 1e-4),
                g_rule=falling(4e-5, 1e-6), seed=seed, device='cpu', engine='compiled', threads=1, ema=2000)
    t.fit(steps, progress=False)
    return t


def width(x, d):
    "The median over the modes of half the distance between quartiles, beside that of a normal density; 1 is right"
    mode = torch.cdist(x, d.means).argmin(1)
    z = (x - d.means[mode])/d.chol[mode].diagonal(dim1=1, dim2=2)
    quartiles = [z[mode == i].quantile(torch.tensor([.25, .75]), 0) for i in mode.unique()]
    return torch.stack([(high - low)/1.349 for low, high in quartiles]).median().item()


def in_packs(pack):
    "The settings of PacGAN (Lin et al., 2018) for these densities"
    rule = dict(name='adam', lr=1e-4, betas=[.8, .999])
    return {'noise.dim': 2, 'generator.hidden': [400]*4, 'generator.norm': 'batch', 'discriminator.hidden': [200]*3, 'discriminator.act': 'maxout',
            'd_rule': rule, 'g_rule': rule, 'batch_size': 100, 'pack': pack, 'steps': epochs*epoch}


def run(name, recipe, seed):
    torch.set_num_threads(1)
    base = recipe if recipe in recipes else 'points' if recipe in theirs else 'exact'
    e = experiment(data[name](), base, seed=seed, device='cpu', engine='compiled', threads=1)
    if recipe in theirs: e = e.changed(in_packs(theirs[recipe]))
    if recipe == to_scale: e = e.changed({'game.noise': half_spread(e.load_data())})
    if recipe in finer: e = e.changed({'steps': finer[recipe]})
    if 'coins' in recipe: e = e.changed({'noise': dict(name='rademacher', dim=10, normals=2)})
    trainer = e.trainer()
    start = time.perf_counter()
    trainer.fit(e['steps'], progress=False)
    iterations = trainer.iteration
    if recipe in finer:
        trainer = onward(trainer)
        iterations += trainer.iteration
    x, d = trainer.sample(n), trainer.data
    out = dict(seconds=round(time.perf_counter() - start), iterations=iterations, sw=sliced_wasserstein(x, drawn(d, 1)))
    if name in modes:
        c = coverage(x, d)
        counts = torch.cdist(x, d.means).argmin(1).bincount(minlength=len(d.means))
        out |= dict(modes=c.modes, good=c.high_quality, jsd=jsd(x, d), p=float(chisquare(counts.numpy()).pvalue),
                    least=int(counts.min()), most=int(counts.max()), width=width(x, d))
    return out


def runs_of(known, name, recipe): return [*known.get(f'{name} {recipe}', {}).values()]


def of_modes(known, name, recipe):
    runs = runs_of(known, name, recipe)
    def all_of(k): return [o[k] for o in runs]
    modes = all_of('modes')
    found = f'each {modes[0]}' if len({*modes}) == 1 else ', '.join(map(str, modes))
    return [f'{name}, {recipe}', len(runs), f'{found} of {len(data[name]().means)}',
            spread(all_of('good'), '{:.1%}'), spread(all_of('jsd'), '{:.4f}'), f'{sum(p > .05 for p in all_of("p"))} of {len(runs)}',
            f'{min(all_of("least")):,} to {max(all_of("most")):,}', spread(all_of('width'), '{:.2f}') if 'width' in runs[0] else '–',
            f'{runs[0]["iterations"]:,}', min(all_of('seconds'))]


def of_others(known, name):
    d = data[name]()
    floor = spread([sliced_wasserstein(drawn(d, s), drawn(d, 1)) for s in range(2, 102)], '{:.4f}')   # as `run` compares
    return [str(d), len(runs_of(known, name, 'exact')), f'{half_spread(d):.2f}',
            *(spread([o['sw'] for o in runs_of(known, name, r)], '{:.4f}') for r in (*recipes, to_scale)), floor]


def page(known):
    rows = [of_modes(known, name, r) for name in modes for r in (*recipes, *for_modes[name]) if runs_of(known, name, r)]
    floors = ', '.join(f'{jsd_floor(n, d()):.4f} for the {name}' for name, d in modes.items())
    published = [['GAN', '6.3 ± 0.5', '98.2', '17.3 ± 0.8', '94.8'], ['PacGAN2', '7.9 ± 0.1', '95.6', '23.8 ± 0.7', '91.3'],
                 ['PacGAN4', '7.8 ± 0.1', '95.9', '24.8 ± 0.2', '93.6'], ['VEEGAN (its own table)', '8', '52.9', '24.6', '40']]
    rest = [of_others(known, name) for name in others if any(runs_of(known, name, r) for r in recipes)]
    distances = f"""## Other densities

The sliced Wasserstein distance between {n:,} samples and as many real items, beside the same between a hundred other sets of real items and those. \
`--recipe exact` adds noise of up to 0.5 to what D sees, which is half of how far the ring's points are from their middle (root mean square). In the column *{to_scale}* \
it is half of that of each density (`--set game.noise=…`): between clouds that are farther apart than the noise is wide, D cannot compare weights.

{table(['', 'seeds', 'spread/2', *recipes, to_scale, 'real items'], rest)}
"""
    of_theirs = f"""*PacGAN's networks* (Lin et al., 2018) are those of its table below: G has four layers of 400 rectified units with batch normalisation, D three of 200 maxout units, the noise is two normal numbers, m = 100, and both players learn by Adam at 10⁻⁴ with β 0.8 and 0.999. *Packs* show D two or four samples at once. An epoch is {epoch:,} iterations, of points that are always new here; {epochs} of them, where the paper has 400.

""" if any(runs_of(known, name, r) for name in modes for r in theirs) else ''
    return f"""# Known densities

How good a sampler Algorithm 1 makes where the density is known, by the protocol of the papers on mode collapse, with `--recipe points` and `--recipe exact`. \
In *exact, then sines* the average of its G goes on for 20,000 iterations without noise against a new D, whose units are sines, with two steps of D to one of G, minibatches of 1,024, \
rates of 10⁻³ and 4·10⁻⁵ that fall, and Adam's β 0 and 0.99. A D of rectified units hardly sees how wide a cloud is that is a hundred times narrower than the data; this one does, and the clouds, too \
narrow until then, become as wide as they should be, to 3% (`sines` and `onward` in `benchmarks/sampler.py`). On the ring that costs half a percent of quality. *Longer, then sines* gives `--recipe exact` 150,000 iterations \
before that, which leaves fewer fakes between the modes. On the ring it fails: after so many the clouds are so narrow that the game against the sines breaks \
apart (4 of 8 modes and 44% within 3σ from seed 0, tried by hand, as were the twelve coins below: the script has neither).

In *coins, then sines* the noise is two normal numbers and eight coins, each −1 or 1 (`rademacher(10, normals=2)`), and all else as in *exact, then sines*. A G that is continuous makes of \
normal noise one connected cloud, so that some fakes must lie between the modes, fewer the steeper it is (Khayatkhoei et al., 2018; Tanielian et al., 2020). \
Between the two sides of a coin there is nothing: G can send 256 kinds of noise to different modes, and needs no bridges. On the grid \
this costs evenness, also with twelve coins, 4,096 kinds: from seeds 0 and 1, which were tried, 99.3% and 99.4% high quality, a JSD of 0.0052 and 0.0055, and modes \
of 0.8 to 1.37 times the weight that is right.

{of_theirs}{n:,} samples a run. Modes are listed seed by seed where they differ; one is found if a sample lies within 3σ of it, and that share of the samples is the high quality: {perfect_share(2):.2%} for a \
perfect sampler. Weights are even if a χ² test of the modes' counts does not reject that they are equal (p > 0.05); the next column has the smallest \
and the largest count of all runs, where {n//8} and {n//25} are right. Width: how wide a cloud is, by the quartiles of \
its samples, in σ. The JSD (32 × 32 cells) of a perfect sampler is {floors}. ± is the standard error \
over seeds. The seconds are the least of all runs, each on one of two cores; *coins* and *longer* were measured in hours in which everything took about twice as long as in \
those of the rows above them.

{table(['', 'seeds', 'modes', 'high quality', 'JSD (nats)', 'even', 'counts', 'width', 'iterations', 'seconds (least)'], rows)}
Published (PacGAN's table, ten runs; high quality in %):

{table(['', 'ring, modes', 'ring, quality', 'grid, modes', 'grid, quality'], published)}
{distances if rest else ''}{written('sampler')}"""


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('data', nargs='*', default=[*data])
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--processes', type=int, default=2)
    args = parser.parse_args()
    cases = [(name, r) for name in args.data for r in (*recipes, *for_modes.get(name, (to_scale,)))]
    known = by_seed(here/'sampler.json', run, cases, args.seeds, args.processes)
    (here/'sampler.md').write_text(page(known))
