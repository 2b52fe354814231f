"""Why does a narrow cloud come out narrower still? One Gaussian: its width and its wobble while it trains. Writes width.json and width.md.

Runs that are done are only read, so what was interrupted goes on.

    python benchmarks/width.py [--seeds 3] [--processes 2]
"""
import argparse
from pathlib import Path

import torch
from machine import by_seed, machine, spread, table
from gan_nbdev.all import GaussianMixture, experiment

here, STEPS = Path(__file__).parent, 6000


def betas(d, g): return {'d_rule.betas': [d, .99], 'g_rule.betas': [g, .99]}


def rates(d, g): return {'d_rule.lr': d, 'g_rule.lr': g}


# what is said of it, σ, what is other than in the recipe
cases = {
    'as in the recipe': (.05, {}),
    'the same, σ = 1': (1., {}),
    'minibatches of 1,024': (.05, {'batch_size': 1024}),
    'both rates a fifth': (.05, rates(2e-4, 1e-4)),
    "G's rate a tenth": (.05, rates(1e-3, 5e-5)),
    'five steps of D': (.05, {'k': 5}),
    'R1 of 0.001': (.05, {'game': {'name': 'non-saturating', 'r1': .001}}),
    "D's momentum 0.9, G's 0": (.05, betas(.9, 0.)),
    'momentum 0': (.05, betas(0., 0.)),
    'momentum 0, five steps of D': (.05, {**betas(0., 0.), 'k': 5}),
    "momentum 0, D's rate a fifth, G's a 25th": (.05, {**betas(0., 0.), **rates(2e-4, 2e-5)}),
}


class Moments:
    "A hook: variance of G's samples, and square of their mean's distance from the data's, by coordinate, in σ²"
    every = 20
    def __init__(self, noise, std, at):
        self.z, self.std, self.at, self.seen = noise.sample(2000, torch.Generator().manual_seed(3)), std, at, []
    def after_block(self, trainer):
        with torch.no_grad(): x = trainer.gan.generator(self.z)
        self.seen.append([(v/self.std**2).mean().item() for v in (x.var(0), (x.mean(0) - self.at)**2)])


def run(case, seed):
    torch.set_num_threads(1)
    std, changes = cases[case]
    e = experiment(GaussianMixture([[2., 2.]], std), 'points', seed=seed, steps=STEPS, device='cpu', engine='compiled', threads=1,
                   **{'d_rule.schedule': {}, 'g_rule.schedule': {}}, **changes)
    trainer = e.trainer()
    trainer.hooks.append(look := Moments(trainer.gan.noise, std, 2.))
    trainer.fit(STEPS, progress=False)
    width, wobble = (sum(o)/len(o) for o in zip(*look.seen[len(look.seen)//3:]))
    return dict(width=width**.5, wobble=wobble**.5, together=(width + wobble)**.5)


def page(known):
    def of(case, k): return spread([o[k] for o in known[case].values()], '{:.2f}')
    rows = [[case, len(known[case]), *(of(case, k) for k in ('width', 'wobble', 'together'))] for case in cases if case in known]
    return f"""# A cloud that wobbles is narrow

The data are one Gaussian in the plane, σ = 0.05, far narrower than the first fakes are spread. Networks and minibatches are those of `--recipe points`, for {STEPS:,}
iterations at rates that do not fall. Width: the standard deviation of a coordinate of G's samples, in σ; wobble: how far the samples' mean is from the cloud's centre, by
coordinate, in σ; each as the root of the mean square over the last two thirds of the iterations, every 20th. Together: the root of the sum of both squares, 1
where D stays near ½ (`nbs/theory/02_circling.ipynb`). With Adam's β₁ ("momentum") 0.5 and β₂ 0.999 where nothing is said, and β₂ 0.99 where momentum is named. ±
is the standard error over seeds.

{table(['', 'seeds', 'width', 'wobble', 'together'], rows)}
Measured on {machine()}, one thread a run; written by `benchmarks/width.py`.
"""


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--processes', type=int, default=2)
    args = parser.parse_args()
    known = by_seed(here/'width.json', run, [(case,) for case in cases], args.seeds, args.processes)
    (here/'width.md').write_text(page(known))
