"What cannot be done as asked is refused in one line that names the value, before any work is begun."
import copy

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gan_nbdev.algorithm import Rule, adam, linear, momentum_sgd
from gan_nbdev.data import Noise, normal, ring, uniform
from gan_nbdev.datasets.files import get_data
from gan_nbdev.datasets.samples import Samples, Stream
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.games.table import games
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.trainer import Trainer


def _made(cls=Trainer, classes=None, **more):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0, classes=classes), mlp_discriminator(2, (8,), seed=1, classes=classes),
              noise=normal(2), classes=classes)
    data = Samples(torch.randn(64, 2), labels=torch.arange(64) % 4) if classes else ring()
    return cls(**{'gan': gan, 'data': data, 'batch_size': 8, **more})

def _hook(**more): return type('Hook', (), {'after_block': lambda self, trainer: None, **more})()
def _saying(name, said): return type('Own', (Trainer,), {name: lambda self: said})
_step_lr, _plain = torch.optim.lr_scheduler.StepLR, games['non-saturating']
def _game(**more): return _plain._replace(**more)

refused = {
    'an end of the noise in words': (lambda: uniform(2, 'a', 1), "low must be a finite number, not 'a'"),
    'noise of nothing': (lambda: GAN(mlp_generator(2, 2), mlp_discriminator(2), Noise('mine', 2, lambda n, dim, generator: None)),
                         r'mine\(2\) must draw a tensor of shape \(n, 2\), not NoneType'),
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
    'a schedule of nothing': (lambda: adam(lambda t: None), 'its schedule gives None at iteration 0'),
    'a schedule of nothing, later': (
        lambda: _made(d_rule=adam(lambda t: 1e-3 if t < 2 else None)).fit(3, False), 'its schedule gives None at iteration 2'),
    'one beta': (lambda: adam(betas=.5), 'betas must be two numbers, not 0.5'),
    'momentum of 1': (lambda: momentum_sgd(momentum=1), r'momentum must be in \[0, 1\), not 1'),
    'half an iteration': (lambda: linear(1, 0, 2.5), 'n must be a whole number of at least 1, not 2.5'),
    'terms in a list': (lambda: _made(game=_game(d_terms=[1])), r'd_terms must be a dict of functions by name, not \[1\]'),
    'a function for a tuple': (lambda: _made(game=_game(d_after=lambda D: None)), 'd_after must be a tuple'),
    'a text for a tuple': (lambda: _made(game=_game(shows='value')), "shows must be a tuple, not 'value'"),
    'a replacement without a name': (lambda: _made(game=_game(d_before=(lambda x: x,))).fit(1, False), 'must give a dict'),
    'a replacement of nothing known': (
        lambda: _made(game=_game(d_before=(lambda x: {'y': x},))).fit(1, False), "must give a dict .* not {'y'"),
    'a loss that names nothing': (lambda: _made(game=(lambda **k: 0, _plain.g_loss)), r'd_loss must name what it asks for, not take \*\*k'),
    **{f'every={v}': (lambda v=v: _made(hooks=[_hook(every=v)]), f'must be a whole number of at least 1, not {v}')
       for v in (0, -1, 2.5, True)},
    'a hook of numbers': (lambda: _made(hooks=[_hook(after_fit=3)]), 'after_fit of .* must be a function, not 3'),
    'a seed of samples': (lambda: _made().sample(3, seed=2.5), 'seed must be a whole number of at least 0, not 2.5'),
    'a source of samples': (lambda: _made().sample(3, of='ema'), "of must be an EMA or a GAN, not 'ema'"),
    'a class in words': (lambda: _made(classes=4).sample(3, y='a'), "y must be whole numbers from 0 to 3, not 'a'"),
    'a truth for a class': (lambda: _made(classes=4).sample(3, y=True), 'y must be whole numbers from 0 to 3, not True'),
    'a truth for a half-life': (lambda: _made(ema=True), 'ema must be a number above 0, not True'),
    'three numbers in a column': (lambda: _made().fit(1, False).log('v', torch.ones(3)), 'v must be one number, not tensor'),
    'a network for a GAN': (lambda: _made(gan=torch.nn.Linear(2, 2)), 'gan must be a GAN, not Linear'),
    'a class of data': (lambda: _made(data=Samples), 'data must be a distribution'),
    'members that are no trainers': (lambda: Ensemble(['a']), "the members must be trainers, not 'a'"),
    'games that look alike': (
        lambda: Ensemble([_made(game=(lambda real, fake: 0, lambda fake: 0)) for _ in 'ab']), 'make it once, and give that to all'),
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
