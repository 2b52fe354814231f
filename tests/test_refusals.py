"What cannot be done as asked is refused in one line that names the value, before any work is begun."
import copy
import math
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gan_nbdev.algorithm import Rule, adam, exponential, linear, momentum_sgd
from gan_nbdev.data import GaussianMixture, Noise, allowed_noise, mixture_1d, normal, ring, uniform
from gan_nbdev.datasets.files import get_data
from gan_nbdev.datasets.idx import download
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.shapes import drawn
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.experiments import experiment
from gan_nbdev.games.began import Reconstruction
from gan_nbdev.games.combinations import smoothed
from gan_nbdev.games.f_divergence import f_game
from gan_nbdev.games.game import check_game
from gan_nbdev.games.table import games, make_game
from gan_nbdev.lab import record
from gan_nbdev.measures.pairs import marginals_and_pairs
from gan_nbdev.measures.stacked import stacked
from gan_nbdev.networks import GAN, mlp, mlp_discriminator, mlp_generator, start_at_mean
from gan_nbdev.plots import (LivePlot, image_grid, interpolation, mosaic, plot_1d, plot_fakes, plot_interpolation, plot_losses,
                             plot_more, plot_overview, plot_probability, plot_samples, plot_value)
from gan_nbdev.runs import Run
from gan_nbdev.study import Study, study
from gan_nbdev.support.kinds import one_number, short
from gan_nbdev.trainer import EarlyStop, Trainer


def _made(cls=Trainer, classes=None, **more):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0, classes=classes), mlp_discriminator(2, (8,), seed=1, classes=classes),
              noise=normal(2), classes=classes)
    data = Samples(torch.randn(64, 2), labels=torch.arange(64) % 4) if classes else ring()
    return cls(**{'gan': gan, 'data': data, 'batch_size': 8, **more})

def _hook(**more): return type('Hook', (), {'after_block': lambda self, trainer: None, **more})()
def _saying(name, said): return type('Own', (Trainer,), {name: lambda self: said})
class _Endless(IterableDataset):
    def __iter__(self):
        while True: yield torch.ones(2)
_step_lr, _plain = torch.optim.lr_scheduler.StepLR, games['non-saturating']
def _game(**more): return _plain._replace(**more)

def _gan(D, dim=2): return GAN(mlp_generator(2, dim, (8,)), D, normal(2))
def _flat(dim=2): return _gan(mlp_discriminator(dim, (8,)), dim)
def _grid(shape): return image_grid(torch.rand(4, 2), shape)
def _walk(shape): return plot_interpolation(_flat(), shape)
def _items(shape): return plot_samples(torch.rand(4, 2), shape=shape)
class _Numbers(torch.nn.Module):
    def forward(self, x): return x.abs().sum(1, keepdim=True).long().clamp(0, 8)

class _Turned(torch.nn.Module):
    def __init__(self): super().__init__(); self.w = torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))
    def forward(self, x): return (x*self.w).abs()

class _Attentive(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.given, self.seen, self.out = torch.nn.Linear(1, 4), torch.nn.MultiheadAttention(4, 1, batch_first=True), torch.nn.Linear(4, 1)
    def forward(self, x):
        x = self.given(x[..., None])
        return self.out(self.seen(x, x, x, need_weights=False)[0].mean(1))

refused = {
    **{f'a game of {k}={v}': (lambda k=k, v=v, more=more: experiment('ring', game={'name': 'minimax', k: v, **more}), rf'^game\.{k} must be .*not {v}$')
       for k, v, more in (('noise', -1, {}), ('noise_until', 0, dict(noise=.1)), ('unroll_rate', -1, dict(unroll=1)), ('real_label', 2, {}),
                          ('fake_label', 1, {}))},
    **{f'a drawing of {v}': (lambda v=v: drawn(v), r'strokes must be lists of points \[x, y\], not') for v in (3, [3], None)},
    'rows on a device that is not there': (lambda: Samples(torch.rand(8, 2)).source(4, None, 'tpu'), "device 'tpu' is not there"),
    **{f'a game with {k}={v}': (lambda k=k, v=v: _plain.with_(**{k: v}), why) for k, v, why in (
        ('nothing', 3, "a game has the fields d_loss, .*, not 'nothing'"), ('d_terms', 3, 'd_terms must be a dict'), ('d_after', len, 'd_after must be a tuple'))},
    'a place in no rows': (lambda: allowed_noise(uniform(2), [9., 9.]), 'z has shape'),
    'complex weights to clip': (lambda: _made(gan=_gan(torch.nn.Sequential(_Turned(), torch.nn.Linear(2, 1))), game='wasserstein'),
                                'wasserstein clips real weights, and 0.w of D is complex'),
    **{f'fused attention in {game}': (lambda game=game: _made(gan=_gan(_Attentive()), game=game, device='cpu').fit(1, progress=False),
                                      r'the game takes the slope of a slope, which torch lacks here .*: train inside .*SDPBackend\.MATH')
       for game in ('wgan-gp', 'r3gan', make_game(unroll=1))},
    'a number below 0 that may be 0': (lambda: make_game(r1=-1), 'r1 must be a number of at least 0, not -1'),
    'half a step ahead': (lambda: make_game(unroll=2.5), '^unroll must be'),
    'labels of another game': (lambda: experiment('ring', game=dict(name='hinge', real_label=.9)), '^game: only a game whose'),
    'a walk of half a stop': (lambda: interpolation(_flat(), n=2.5), 'n must be a whole number of at least 2, not 2.5'),
    'a walk in words': (lambda: plot_interpolation(_flat(), n='8'), "n must be .*, not '8'"),
    'half a walk': (lambda: interpolation(_flat(), rows=1.5), 'rows must be a whole number of at least 1, not 1.5'),
    **{f'{n} columns of images': (lambda n=n: mosaic(torch.rand(4, 4), (2, 2), n_cols=n), f'n_cols must be .*, not {n}') for n in (-1, 0, 1.5)},
    'a map without points': (lambda: plot_probability(_flat(), ring(), n=0), 'n must be a whole number of at least 2, not 0'),
    'a name for a box': (lambda: plot_probability(_flat(), 'ring'), "extent must be a box, .* not 'ring'"),
    'a box from high to low': (lambda: plot_probability(_flat(), [[1, -1], [1, -1]]), r'extent must be \(lowest, highest\)'),
    **{f'{f.__name__} of {v}': (lambda f=f, v=v: f(v), why) for f in (plot_losses, plot_value, plot_more) for v, why in (
        (None, 'history must be a dict of arrays, as trainer.history, not None'), ([], r'history must be .*, not \[\]'),
        (dict(d_loss='a'), r"^history\['d_loss'\] must be numbers, \(t,\), not 'a'$"))},
    'values of a trainer': (lambda: plot_value(_made()), 'as trainer.history, not Trainer of ring'),
    **{f'{f.__name__} of shape {v}': (lambda f=f, v=v: f(v), f'^shape must be that of one item, as .*, not {short(v)[:1]}') for v in ('a', 5, np.ones((9, 2)))
       for f in (_grid, _walk, _items)},
    'a grid of half a pixel': (lambda: image_grid(torch.rand(4, 2), (.5, 4)), r'^shape\[0\] must be a whole number of at least 1, not 0.5$'),
    **{f'fakes of {v!r}': (lambda v=v: plot_fakes(v, ring()), f'^fake must hold numbers, not {why}$') for v, why in (
        (None, 'None'), ('a', '<U1'), ([['a', 'b']], '<U1'), (pd.DataFrame(dict(a=['x'], b=['y'])), "'x'"))},
    'fakes of no data': (lambda: plot_fakes(torch.rand(4, 2), None), '^data must be a name, .* not NoneType$'),
    **{f'a plane for {what}': (lambda gan=gan: plot_probability(gan(), ring()), why) for what, gan, why in (
        ('nobody', lambda: None, '^gan must be a GAN, as trainer.gan, not None$'), ('a trainer', _made, 'as trainer.gan, not Trainer of ring'),
        ('another space', lambda: _flat(3), '^gan must judge items of 2 numbers, as are drawn, not of 3$'),
        ('classes', lambda: _made(classes=4).gan, '^this D is told one of 4 classes, so that no place has a probability of its own$'))},
    'a box of one number': (lambda: plot_probability(_flat(), 5), r'^extent must be a box, \(2, 2\), or data in the plane, not 5$'),
    'a walk of nobody': (lambda: plot_interpolation(None), '^gan must be a GAN, as trainer.gan, not None$'),
    'an overview of nothing': (lambda: plot_overview(None), '^trainer must be a Trainer, not None$'),
    'a line of unknown density': (lambda: plot_1d(_flat(1), Samples(torch.randn(9, 1))), 'plot_1d needs a known density, which samples has not'),
    'a line of no samples': (lambda: plot_1d(_flat(1), mixture_1d(), n=0), 'n must be a whole number of at least 1, not 0'),
    'losses of nothing': (lambda: plot_losses({}), 'history has no d_loss'),
    'pictures of no samples': (lambda: LivePlot(n=0), 'n must be a whole number of at least 1, not 0'),
    'seconds in words': (lambda: LivePlot('1'), "every_s must be ≥ 0, not '1'"),
    'a uniform that is too wide': (lambda: uniform(2, -3e38, 3e38), 'must fit float32, not -3e.38 and 3e.38'),
    **{f'labels of class {k} alone': (lambda k=k: Samples(torch.randn(9, 2), labels=[k]*9), f'labels must be of two classes or more, not of class {k} alone')
       for k in (0, 1)},
    **{f'a label {v!r} among many': (lambda v=v: Samples(torch.randn(999, 2), labels=[*[0, 1]*450, v, *[0]*98]), f'^labels must be whole numbers from 0 and below 2..24, .* not {v}$')
       for v in (1.5, math.nan, -1, 10**12, 2**24)},
    'labels of fewer rows': (lambda: Samples(torch.randn(9, 2), labels=[0, 1]), r'labels must be 9 whole numbers from 0, one for each row, not of shape \(2,\)'),
    'a game that shows something else': (lambda: check_game(_game(shows=('x',))), r"^shows must be among value, d_real, d_fake, not \('x',\)$"),
    **{f'{f.__name__} of a list': (lambda f=f: f([]), '^unknown (game|divergence) .*: choose one of') for f in (make_game, f_game)},
    'a game of a game': (lambda: make_game(_plain), '^unknown game Game'),
    **{f'whole numbers as objects, {k}': (f, r'holds its numbers as Python objects: give np.array\((x|means), float\)$') for k, f in dict(
        rows=lambda: Samples([[1, 2], [3, 2**70]]), fractions=lambda: GaussianMixture([[0, Fraction(1, 2)]], 1)).items()},
    **{f'a metric of {v}': (lambda v=v: _made(hooks=[EarlyStop(lambda t: v, every=1)]).fit(2, False), 'metric must be one number, not ')
       for v in (None, 'a', (1, 2), b'1', np.array('3'), np.complex64(1 + 2j))},
    'members that measure nothing': (lambda: Ensemble([_made()]).evaluate(lambda t: None), 'metric must be one number, not None'),
    'an end of the noise in words': (lambda: uniform(2, 'a', 1), "low must be a finite number, not 'a'"),
    'noise of nothing': (lambda: GAN(mlp_generator(2, 2), mlp_discriminator(2), Noise('mine', 2, lambda n, dim, generator: None)),
                         r'mine\(2\) must draw a float32 tensor of shape \(n, 2\), not NoneType'),
    'noise of another length': (
        lambda: Noise('mine', 2, lambda n, dim, generator: torch.zeros(n, 3)).sample(4), r'not torch.float32 of shape \(4, 3\)'),
    'noise in another precision': (
        lambda: Noise('mine', 2, lambda n, dim, generator: torch.zeros(n, 2).double()).sample(4), 'must draw a float32 .* not torch.float64'),
    'a deviation below float32': (lambda: ring(std=1e-50), 'standard deviations must be from 1e-18 to 1e18 in size, not 1e-50'),
    'a mean above float32': (lambda: GaussianMixture([[0., 1e300]], .1), r'means must be at most 1e18 in size, not 1e\+300'),
    'a square beyond float32': (lambda: ring(std=1e20), 'standard deviations must be from 1e-18 to 1e18 in size, not 1e.20'),
    **{f'{k} of 2**63': (f, r' must be a whole number of at least [01] and below 2\*\*63, not a number of more than 63 bits$') for k, f in dict(
        samples=lambda: ring().sample(2**63), noise=lambda: normal(2**63), iterations=lambda: _made().fit(2**63)).items()},
    'a device that is not there': (lambda: ring().sample(3, device='xpu'), "device 'xpu' is not there: choose one of .*cpu"),
    'no device': (lambda: ring().source(4, None, 'gpu'), "device 'gpu' is not there: choose one of .*cpu"),
    **{f'a source at {v!r}': (lambda v=v: ring().source(4).load_state_dict(v), 'this source has no position to restore, yet got ') for v in (None, 0, [])},
    'shares of nothing': (lambda: GAN(mlp_generator(2, 2, (8,), classes=3), mlp_discriminator(2, (8,), classes=3), normal(2), classes=3).set_shares(None),
                          'shares must be numbers, one for each class, not None'),
    'metrics in a list': (lambda: Run(experiment('ring')).save('nowhere', measured=[1]), r'measured must be a dict, as from measure\(\), not \[1\]'),
    'one width for a list': (lambda: mlp(2, 2, 128), 'hidden must be a list of whole numbers, not 128'),
    'one number for a shape': (
        lambda: GAN(mlp_generator(2, 4), mlp_discriminator(4), normal(2), shape=4), 'shape must be a list of whole numbers, not 4'),
    **{f'{k}={v!r}': (lambda k=k, v=v: mlp(4, 4, **{k: v}), f'^{why}, not {re.escape(short(v))}$') for k, v, why in (
        ('dropout', '0.5', r'dropout must lie in \[0, 1\)'), ('input_dropout', True, r'input_dropout must lie in \[0, 1\)'),
        *[('choices', v, r'choices must be \(first, how many\) in order, within 4 outputs') for v in ([3], 3, [(0, 2.5)], [(0, 2), (1, 2)], [('a', 2)])])},
    **{f'{k}={v!r}': (lambda k=k, v=v: mlp(4, 4, **{k: v}), f'^unknown {what} {re.escape(short(v))}: choose one of') for k, v, what in (
        ('act', ['relu'], 'activation'), ('out', ['relu'], 'output activation'), ('init', True, 'init'), ('init', ['he'], 'init'))},
    'a uniform that float32 makes one number': (lambda: uniform(2, 1e8, 1e8 + 1), r'^high − low must be at least .* around 1e\+08, .*, not 1$'),
    **{f'a mixture that float32 makes a few numbers, {k}': (f, r'^standard deviations must be at least .* around -?1e\+08, .*, not 1$') for k, f in dict(
        one=lambda: GaussianMixture([[1e8]], 1.), second=lambda: GaussianMixture([[0., 0.], [0., -1e8]], 1.), cov=lambda: GaussianMixture([[1e8, 0.]], cov=np.eye(2)),
        line=lambda: mixture_1d([1e8], 1.)).items()},
    'frames with two columns of one name': (
        lambda: plot_samples(_frame, pd.DataFrame(np.ones((3, 2)), columns=[*'aa'])), "^real has several columns called 'a'$"),
    **{f'{what} too large to draw': (lambda x=x: plot_samples(x), r'numbers from -1e\+308 to 1e\+308 are too large to be drawn$')
       for what, x in (('a line', np.array([[1e308], [-1e308]])), ('a plane', np.array([[1e308, 0], [-1e308, 0]])), ('a column', pd.DataFrame(dict(a=[1e308, -1e308], b=[1, 2]))))},
    'pairs too large to draw': (lambda: marginals_and_pairs(*[pd.DataFrame(dict(a=[1e308, -1e308]))]*2), 'are too large to be drawn$'),
    'layers of a film in number': (lambda: record(_made(), 3, layers=5), '^layers must be a list of names, not 5$'),
    'a layer of a film': (lambda: record(_made(), 3, layers='heat'), "^layers must be a list of names, not 'heat'$"),
    **{f'weights of seed {v}': (lambda v=v: mlp(2, 2, seed=v), f'seed must be a whole number of at least 0, not {v}') for v in (1.5, -1)},
    'a start at the mean of no sigmoid': (lambda: start_at_mean(torch.nn.Linear(2, 2), [.5, .5]), 'must be an mlp that ends in a sigmoid'),
    **{f'a start at the mean of {k}': (lambda net=net: start_at_mean(net, [.5]), 'must be an mlp that ends in a sigmoid, after a layer with biases') for k, net in dict(
        no_bias=torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Sigmoid()), nothing=torch.nn.Sequential(),
        sigmoid=torch.nn.Sequential(torch.nn.Sigmoid()), dropout=torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Sigmoid())).items()},
    **{f'weights up to {v:g}': (lambda v=v: mlp(2, 1, [3], init=v), r'^init must be above 0 and at most 1.7e\+38 when it is a number') for v in (1e39, 3e38, 0)},
    'an activation of no layer': (lambda: mlp(2, 1, (), act='foo'), "^unknown activation 'foo': choose one of"),
    'an output without a name': (lambda: mlp(2, 1, [3], out=''), "^unknown output activation '': choose one of"),
    'a share that is 1 as a float': (lambda: mlp(2, 2, dropout=Fraction(10**40 - 1, 10**40)), r'dropout must lie in \[0, 1\), not 1.0'),
    'shares that sum to 2': (lambda: _made(classes=4).gan.set_shares([.5]*4), 'must sum to 1, not 2'),
    'shares of other classes': (lambda: _made(classes=4).gan.set_shares([.5, .5]), r'shape \(2,\), but there are 4'),
    'a label in words': (lambda: smoothed(_plain, 'a'), "real must be a finite number, not 'a'"),
    'a balance in words': (lambda: Reconstruction(torch.nn.Identity(), 'a'), "balance must be a finite number, not 'a'"),
    'a rate of no steps ahead': (lambda: make_game('minimax', unroll_rate=5), 'unroll_rate goes with unroll'),
    'a schedule that grows without bounds': (lambda: adam(exponential(1e-3, 1.1)).at(10_000), 'but is inf at iteration 10000'),
    'a word for a metric': (lambda: EarlyStop('x'), "metric must be a function of the trainer, not 'x'"),
    'a hook for a list': (lambda: experiment('ring').trainer(hooks=LivePlot()), 'hooks must be a list, not LivePlot'),
    'epochs of a dataset without end': (lambda: _made(data=Stream(_Endless())).fit(epochs=1), 'stream has no end that is known, so give n'),
    'epochs of its loader': (
        lambda: _made(data=DataLoader(_Endless(), batch_size=8)).fit(epochs=1), 'has no end that is known, so give n'),
    'a line of packs': (
        lambda: plot_1d(GAN(mlp_generator(2, 1), mlp_discriminator(1, pack=2), normal(2), pack=2), mixture_1d()), 'judges 2 items at once'),
    **{f'sparse gradients of {o.__name__}': (
        lambda o=o: _gan(torch.nn.Sequential(_Numbers(), o(9, 1, sparse=True))), rf'^discriminator\.1, {o.__name__}\(9, 1, .*: make it with sparse=False$')
       for o in (torch.nn.Embedding, torch.nn.EmbeddingBag)},
    'one stacked image': (
        lambda: stacked(Samples(torch.rand(9, 4, 4), labels=torch.arange(9) % 2), 1), 'n must be a whole number of at least 2, not 1'),
    'an array for D': (lambda: _made().gan.prob(torch.zeros(3, 2).numpy()), 'x must be a tensor, not '),
    'a generator that has nothing to train': (
        lambda: Trainer(GAN(torch.nn.Tanh(), mlp_discriminator(2), normal(2)), ring()), 'without parameters has nothing to train'),
    'a scheduler class': (lambda: adam(scheduler=_step_lr), 'alone, not StepLR: lambda opt'),
    'a scheduler of another optimiser': (
        lambda: adam(scheduler=_step_lr(torch.optim.SGD([torch.zeros(1, requires_grad=True)]), 3)), 'scheduler must be'),
    'a rule with a closure': (lambda: Rule(torch.optim.LBFGS), 'LBFGS cannot be a rule like this'),
    'a rule for other gradients': (lambda: Rule(torch.optim.SparseAdam), 'SparseAdam cannot be a rule'),
    'a misspelt hyperparameter': (lambda: adam(beta=1), 'Adam cannot be a rule like this'),
    'a name for a rule': (lambda: Rule('adam'), "must be a class of optimisers, such as torch.optim.SGD, not 'adam'"),
    'a rate in words': (lambda: adam('1e-3'), "lr must be a number above 0, not '1e-3'"),
    'a truth for a rate': (lambda: adam(True), 'lr must be a number above 0, not True'),
    'a schedule of nothing': (lambda: adam(lambda t: None), 'but is None at iteration 0'),
    'a schedule of nothing, later': (
        lambda: _made(d_rule=adam(lambda t: 1e-3 if t < 2 else None)).fit(3, False), 'but is None at iteration 2'),
    **{f'a schedule of {k} that goes to {v[1]}': (
        lambda k=k, v=v, o=o: _made(d_rule=Rule(o, lr=1e-3, **{k: lambda t: v[t >= 2]})).fit(3, False), rf'{k} must be in .*, 1\), but is .* at iteration 2')
       for k, v, o in (('betas', ((.5, .9), (1.5, .9)), torch.optim.Adam), ('momentum', (.5, 7.), torch.optim.SGD), ('momentum', (.5, -1), torch.optim.SGD))},
    **{f'{o.__name__}, {k}={v}': (lambda o=o, k=k, v=v: Rule(o, lr=1e-3, **{k: v}), rf'^{k} must be {where}, not {re.escape(str(v))}$')
       for o, k, v, where in ((torch.optim.SGD, 'momentum', 2., r'in \(-1, 1\)'), (torch.optim.SGD, 'weight_decay', math.nan, 'a finite number'),
                              (torch.optim.SGD, 'dampening', math.inf, 'a finite number'), (torch.optim.RMSprop, 'alpha', 5., r'in \[0, 1\)'))},
    'an alpha that a schedule raises': (
        lambda: Rule(torch.optim.RMSprop, lr=1e-3, alpha=lambda t: 1 + t).at(0), r'alpha must be in \[0, 1\), but is 1 at iteration 0'),
    'a rule for the GPU alone': (lambda: Rule(torch.optim.Adam, capturable=True), 'Adam cannot be a rule like this: If capturable=True'),
    'one beta': (lambda: adam(betas=.5), 'betas must be two numbers, not 0.5'),
    'momentum of 1': (lambda: momentum_sgd(momentum=1), r'momentum must be in \[0, 1\), not 1'),
    'half an iteration': (lambda: linear(1, 0, 2.5), 'n must be a whole number of at least 1, not 2.5'),
    'terms in a list': (lambda: _made(game=_game(d_terms=[1])), r'd_terms must be a dict of functions by name, not \[1\]'),
    'a function for a tuple': (lambda: _made(game=_game(d_after=lambda D: None)), 'd_after must be a tuple'),
    'a text for a tuple': (lambda: _made(game=_game(shows='value')), "shows must be a tuple, not 'value'"),
    'a replacement of another shape': (lambda: _made(game=_game(d_before=(lambda x: dict(x=x[:, :1]),))).fit(1, False),
                                       r'must give x of shape \(m, 2\), not shape \(\d+, 1\)'),
    'a replacement that is no tensor': (lambda: _made(game=_game(g_before=(lambda fakes: dict(fakes=[1, 2]),))).fit(1, False),
                                        r'must give fakes of shape \(m, 2\), not \[1, 2\]'),
    'a replacement without a name': (lambda: _made(game=_game(d_before=(lambda x: x,))).fit(1, False), 'must give a dict'),
    'a replacement of nothing known': (
        lambda: _made(game=_game(d_before=(lambda x: {'y': x},))).fit(1, False), "must give a dict .* not {'y'"),
    'a loss that names nothing': (lambda: _made(game=(lambda **k: 0, _plain.g_loss)), r'd_loss must name what it asks for, not take \*\*k'),
    **{f'every={v}': (lambda v=v: _made(hooks=[_hook(every=v)]), f'must be a whole number of at least 1, not {v}')
       for v in (0, -1, 2.5, True)},
    'a hook of numbers': (lambda: _made(hooks=[_hook(after_fit=3)]), 'after_fit of .* must be a function, not 3'),
    'a seed of samples': (lambda: _made().sample(3, seed=2.5), 'seed must be a whole number of at least 0, not 2.5'),
    'a source of samples': (lambda: _made().sample(3, of='ema'), "of must be an EMA or a GAN, not 'ema'"),
    **{f'samples of {v!r}': (lambda v=v: _made().sample(3, of=v), f'of must be an EMA or a GAN, not {re.escape(repr(v))}') for v in (0, '', [])},
    **{f'epochs={v!r}': (lambda v=v: _made(data=Samples(torch.randn(64, 2))).fit(epochs=v, progress=False), f'^epochs must be .*, not {re.escape(short(v))}$')
       for v in (-1, False, '', [], 2**63, math.nan, 1e300)},
    'a class in words': (lambda: _made(classes=4).sample(3, y='a'), "y must be whole numbers from 0 to 3, not 'a'"),
    'a truth for a class': (lambda: _made(classes=4).sample(3, y=True), 'y must be whole numbers from 0 to 3, not True'),
    'a truth for a half-life': (lambda: _made(ema=True), 'ema must be a number above 0, not True'),
    'three numbers in a column': (lambda: _made().fit(1, False).log('v', torch.ones(3)), 'v must be one number, not tensor'),
    'a network for a GAN': (lambda: _made(gan=torch.nn.Linear(2, 2)), 'gan must be a GAN, not Linear'),
    'a class of data': (lambda: _made(data=Samples), 'Samples is a class: give Samples'),
    'a number for members': (lambda: Ensemble(3), 'an ensemble needs a list of trainers, not 3'),
    'a number for a metric': (lambda: Ensemble([_made()]).evaluate(3), 'metric must be a function of a trainer, not 3'),
    'a setting that a study has not': (lambda: Study(experiment('ring'), 1).label(5), 'i must be the number of one of the 1 settings, from 0, not 5'),
    'differences from a number': (lambda: experiment('ring').differences(3), 'an Experiment differs from others, not from 3'),
    'members that are no trainers': (lambda: Ensemble(['a']), "the members must be trainers, not 'a'"),
    'games that look alike': (
        lambda: Ensemble([_made(game=(lambda real, fake: 0, lambda fake: 0)) for _ in 'ab']), 'make it once, and give that to all'),
    **{f'a bar in words, {k}': (f, "^progress must be True or False, not 'no'$") for k, f in dict(
        trainer=lambda: _made().fit(0, 'no'), run=lambda: Run(experiment('ring', device='cpu')).play([{'alone': 'd', 'times': 1}], 'no'),
        ensemble=lambda: Ensemble([_made()]).fit(0, 'no'), study=lambda: study(experiment('ring'), 'all', progress='no'),
        download=lambda: download('http://127.0.0.1:1', 'file', progress='no')).items()},
    **{f'a step of nothing, {e}': (
        lambda e=e: _made(_saying('step', None), engine=e).fit(1, False), 'step must give 4 things, .* not None') for e in ('eager', 'compiled')},
    **{f'a step of D that says too little, {e}': (
        lambda e=e: _made(_saying('d_step', torch.zeros(())), engine=e).fit(1, False), 'd_step must give 3 things') for e in ('eager', 'compiled')},
}

@pytest.mark.parametrize('what', refused)
def test_what_cannot_be_done_as_asked_is_one_line_that_names_it(what):
    do, line = refused[what]
    with pytest.raises(ValueError, match=line) as e: do()
    assert len(str(e.value).splitlines()) == 1


def test_attention_that_is_not_fused_is_trained_by_any_game():
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for game in ('wgan-gp', make_game(unroll=1)): assert _made(gan=_gan(_Attentive()), game=game, device='cpu').fit(1, progress=False).iteration == 1

@pytest.mark.parametrize('v', [np.array([2.]), np.float32(2), torch.tensor([[2.]], requires_grad=True), 2])
def test_one_number_may_come_in_many_forms(v): assert one_number('v', v) == 2

def test_a_metric_may_be_a_tensor():
    stopper = EarlyStop(lambda t: torch.zeros(1), every=2, patience=1)
    assert _made(hooks=[stopper]).fit(20, False).stopped == 'no rise above 0 since iteration 2'
    none = EarlyStop(lambda t: math.nan, every=2, patience=1)
    assert _made(hooks=[none]).fit(20, False).stopped == 'metric gave no number to rise from'

def test_classes_that_never_occur_are_named(recwarn):
    data = Samples(torch.randn(9, 2), labels=[0, 2, 5]*3)
    assert data.classes == 6 and not recwarn   # as long as nobody asks for classes
    data.labelled
    assert [str(w.message) for w in recwarn] == ['labels: no row is of class 1, 3, 4, so nothing is learned of that']

@pytest.mark.parametrize('dim', [1, 2, 3])
def test_a_run_that_diverged_is_drawn(dim, recwarn):
    plot_samples(torch.full((9, dim), torch.nan))
    assert not [*recwarn]

_rows = np.random.default_rng(0).normal(size=(20, 2))
_frame = pd.DataFrame(_rows, columns=[*'ab'])
@pytest.mark.parametrize('fake', [_frame, _rows, torch.from_numpy(_rows).bfloat16()], ids=['frame', 'array', 'bfloat16'])
@pytest.mark.parametrize('data', [_frame, _rows, ring()], ids=['frame', 'array', 'ring'])
def test_what_metrics_take_is_drawn(fake, data):
    ax = plot_fakes(fake, data)
    assert [len(o.get_offsets()) for o in ax.collections] == [20, 20]
    assert ('modes' in ax.get_title()) == (getattr(data, 'name', '') == 'ring')

def test_fakes_that_are_not_finite_are_counted():
    assert plot_fakes([[1., 2.], [0., torch.inf], [torch.nan, 0.]], ring()).get_title() == '2 of 3 are not finite'

def test_a_frame_is_a_plane():
    assert plot_probability(_flat(), _frame).get_xlim() == plot_probability(_flat(), get_data(_frame)).get_xlim()

@pytest.mark.parametrize('wrong', ['d', 'g'])
def test_a_change_that_does_not_fit_changes_nothing(wrong):
    t = _made().fit(1, False)
    t.iteration, rules = 100, {'d_rule': adam(1e-2), 'g_rule': adam(1e-2), f'{wrong}_rule': adam(lambda i: 1e-3*(1 - i/50))}
    def now(): return [(k, v) for k, v in vars(t).items() if k != 'lent'], t.d_opt.param_groups[0]['lr'], t.g_opt.param_groups[0]['lr']
    before = now()
    for more in ({}, {'g_rule': momentum_sgd(lambda i: 1 - i/50)}):   # by another optimiser
        with pytest.raises(ValueError, match='lr must not fall below 0'): t.change(k=5, game='hinge', **{**rules, **more})
        assert now() == before

def test_a_run_that_is_not_changed_is_as_long_as_before():
    run = Run(experiment(Samples(torch.randn(60, 2)), steps=3, batch_size=32, device='cpu'))
    with pytest.raises(ValueError, match='fewer rows'): run.change({'steps': 9, 'batch_size': 1000})
    assert run.trainer.length == run.experiment['steps'] == 3


# ---- between two fits, and in hooks

def small(D=None, data=None, game='non-saturating', **how):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), D or mlp_discriminator(2, (8,), seed=1), normal(2))
    return Trainer(gan, data or ring(), game, batch_size=16, device='cpu', **how)

def wider(t): t.gan.noise = normal(3)

@pytest.mark.parametrize('change, why', [
    (lambda t: t.gan.double(), 'calculates in torch.float64, but items are torch.float32'),
    (wider, r'the generator does not take rows of 3 numbers: its first layer takes 2')], ids=['double', 'noise'])
def test_what_no_longer_fits_is_said(change, why):
    t = small().fit(3, progress=False)
    change(t)
    with pytest.raises(ValueError, match=why): t.fit(3, progress=False)
    assert t.iteration == 3

@pytest.mark.parametrize('when', ['before_fit', 'after_iteration', 'after_block', 'after_fit'])
def test_no_fit_within_a_fit(when):
    said = []
    def hook(trainer, *_):
        if len(said) > 2: return
        try: trainer.fit(2, progress=False)
        except ValueError as e: said.append(str(e))
    t = small(hooks=[type('Hook', (), {when: lambda self, *a: hook(*a)})()]).fit(4, progress=False)
    assert t.iteration == 4 and 'fit is under way' in said[0]
    t.hooks.clear()
    assert t.fit(2, progress=False).iteration == 6

def test_a_hook_may_train_a_copy():
    class Hook:
        def after_block(self, trainer):
            twin = copy.deepcopy(trainer)
            twin.hooks.clear()
            self.ahead = twin.fit(3, progress=False).iteration
    t = small(hooks=[h := Hook()]).fit(1, progress=False)
    assert (t.iteration, h.ahead) == (1, 4)

def test_more_samples_than_memory():
    with pytest.raises(ValueError, match='n=1,000,000,000,000 samples do not fit the memory'): small().sample(10**12)

@pytest.mark.parametrize('game', ['non-saturating', 'wgan-gp', 'dragan', 'r3gan'])
def test_a_first_layer_in_place(game):
    def D(inplace): return torch.nn.Sequential(torch.nn.ReLU(inplace), torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    a, b = D(False), D(True)
    b.load_state_dict(a.state_dict())
    a, b = (small(o, game=game).fit(3, progress=False) for o in (a, b))
    assert all(u.equal(v) for u, v in zip(a.gan.discriminator.parameters(), b.gan.discriminator.parameters()))

def test_epochs_of_what_leaves_out_smaller_minibatches():
    x = torch.rand(70, 2)
    for drop in (False, True):
        loader = get_data(DataLoader(TensorDataset(x), batch_size=16, drop_last=drop))
        assert len(loader) == 64 and small(data=loader).fit(epochs=10, progress=False).iteration == 40
    assert small(data=Stream(TensorDataset(x))).fit(epochs=10, progress=False).iteration == 40
    assert small(data=get_data(x)).fit(epochs=10, progress=False).iteration == 44   # drawn anew each time

def test_a_table_that_nobody_trains_may_be_sparse():
    table = torch.nn.Embedding(9, 4, sparse=True).requires_grad_(False)
    G = torch.nn.Sequential(_Numbers(), table, torch.nn.Flatten(), torch.nn.Linear(4, 2))
    _made(gan=GAN(G, mlp_discriminator(2, (8,)), normal(2))).fit(2, False)

def test_no_classes_for_no_rows():
    t = _made(classes=4)
    assert t.sample(0, y=[]).shape == (0, 2) and t.gan.prob(torch.zeros(0, 2), []).shape == (0,)
