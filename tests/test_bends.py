"Ways in which a fast engine once trained something else than the lines say: each as by eager, or refused"
import ctypes
import types
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.nn.functional import softplus
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.checkpoint import checkpoint

from gan_nbdev.all import *
from gan_nbdev.engines.choice import engines
from gan_nbdev.engines.recorded import Recorded


@pytest.fixture(autouse=True)
def recorded_by_name(monkeypatch): monkeypatch.setitem(engines, 'recorded', Recorded)


def make(engine, cls=Trainer, gan=GAN, D=None, **kw):
    torch.manual_seed(0)
    def net(o): return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, o))
    return cls(gan(net(2), D or net(1), noise=normal(2)), ring(), batch_size=16, engine=engine, **kw)

def weights(t): return torch.cat([p.detach().flatten() for p in t.gan.parameters()])
def d_loss(real, fake): return softplus(-real).mean() + softplus(fake).mean()
def g_loss(fake): return softplus(-fake).mean()
def mlp_d(**kw): return mlp_discriminator(2, (8,), seed=1, **kw)


class At:
    "Does something after iteration 10"
    def __init__(self, act): self.act = act
    def after_iteration(self, t):
        if t.iteration == 10: self.act(t)


def apart(run, n=40):
    "How far two engines are from each other"
    a, b = (weights(run(e).fit(n, progress=False)) for e in ('eager', 'recorded'))
    return (a - b).abs().max().item()


# ---- as by eager

class Unused(nn.Module):
    "A head that no gradient reaches, until a game asks for it"
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body, self.head, self.second = nn.Linear(2, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    def forward(self, x): return self.head(torch.tanh(self.body(x)))

def by_both(real, fake, x, fakes, discriminator):
    def second(v): return discriminator.second(torch.tanh(discriminator.body(v)))
    return d_loss(real, fake) + d_loss(second(x), second(fakes))

def later_with_both(engine):
    t = make(engine, D=Unused()).fit(30, progress=False)
    t.change(game=Game(by_both, g_loss), engine='eager')
    return t

class Warm(GAN):
    c = 1.
    def logits(self, x, labels=None): return super().logits(x, labels)*self.c

class Config: w = 1.
module = types.ModuleType('settings')
class Slots:
    __slots__ = {'w': 'a weight'}
slots, cell = Slots(), ctypes.c_double(1.)
shape = torch.distributions.Normal(0., 1.)
def by_class(fake): return Config.w*g_loss(fake)
def by_module(fake): return module.w*g_loss(fake)
scales = np.array([1., 2.])
def by_slots(fake): return slots.w*g_loss(fake)*float(scales[0])
def by_cell(fake): return cell.value*g_loss(fake)
def by_torchs(fake): return shape.scale*g_loss(fake)
teacher = nn.Linear(2, 2)
def by_teacher(fake, fakes): return g_loss(fake) + .1*(fakes - teacher(fakes)).square().mean()

def setting(o, name, loss, old=1., new=5.):
    def run(engine):
        setattr(o, name, old)
        return make(engine, game=Game(d_loss, loss), hooks=[At(lambda t: setattr(o, name, new))])
    return run

def with_teacher(engine):
    def swap(t): globals().update(teacher=nn.Linear(2, 2).requires_grad_(False))
    torch.manual_seed(5); swap(None)
    def act(t): torch.manual_seed(6); swap(t)
    return make(engine, game=Game(d_loss, by_teacher), hooks=[At(act)])

def inner_teacher(engine):
    torch.manual_seed(5)
    mine = nn.Linear(2, 2).requires_grad_(False)
    def loss(fake, fakes): return g_loss(fake) + .1*(fakes - mine(fakes)).square().mean()
    def swap(t):
        nonlocal mine
        torch.manual_seed(6); mine = nn.Linear(2, 2).requires_grad_(False)
    return make(engine, game=Game(d_loss, loss), hooks=[At(swap)])

def labelled(engine, change=True):
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    gan = GAN(mlp_generator(2, 2, (8,), seed=0, classes=2), mlp_d(classes=2), noise=normal(2), classes=2)
    hooks = [At(lambda t: t.gan.set_shares([.01, .99]))] if change else []
    return Trainer(gan, Samples(x, labels=torch.arange(64) % 2), batch_size=16, engine=engine, hooks=hooks)

def adam_anew(t):
    for s in t.d_opt.state.values():
        for v in s.values(): v.zero_()
def state_gone(t): t.d_opt.state = defaultdict(dict)

alike = dict(
    decoupled=lambda e: make(e, d_rule=adam(1e-2, weight_decay=.1, decoupled_weight_decay=True)),
    class_attribute=setting(Config, 'w', by_class), module_attribute=setting(module, 'w', by_module), slots=setting(slots, 'w', by_slots),
    c_value=setting(cell, 'value', by_cell), torchs_object=setting(shape, 'scale', by_torchs, torch.tensor(1.), torch.tensor(5.)),
    teacher=with_teacher, teacher_in_a_closure=inner_teacher, shares=labelled,
    gan=lambda e: make(e, gan=Warm, D=mlp_d(), hooks=[At(lambda t: setattr(t.gan, 'c', 3.))]),
    adam_anew=lambda e: make(e, d_rule=adam(1e-2), hooks=[At(adam_anew)]),
    state_gone=lambda e: make(e, d_rule=adam(1e-2), hooks=[At(state_gone)]), unused_head=later_with_both)


@pytest.mark.parametrize('what', alike)
def test_as_by_eager(what): assert apart(alike[what]) < 1e-5


def test_a_hook_finds_the_optimisers_counts():
    seen = {}
    def look(t): seen[t.engine] = {int(s['step']) for s in t.d_opt.state.values()}
    for e in ('eager', 'recorded'): make(e, hooks=[At(look)]).fit(20, progress=False)
    assert seen == {'eager': {10}, 'recorded': {10}}


def test_no_gradient_of_another_engine_is_left():
    t = make('eager').fit(3, progress=False).change(engine='recorded').fit(3, progress=False)
    assert all(p.grad is None for p in t.gan.parameters())


# ---- refused

class Saw(Rule):
    def tune(self, opt, t): opt.param_groups[0]['lr'] = .05 if t % 2 else .01

class Longer(Trainer):
    def g_step(self): return [super(Longer, self).g_step() for _ in range(2 if len(self.record) > 20 else 1)][-1]
class Alone(Trainer):
    def g_step(self): return super().g_step()*(1 if self.moves > 2 else 2)
class Rates(Trainer):
    def d_step(self): return super().d_step() if self.d_opt.param_groups[0]['lr'] else None
class Source(Trainer):
    def d_step(self): return super().d_step() if self.source.m else None
class Twice(Trainer):
    def descend(self, opt, rule, play): super().descend(opt, rule, play); return super().descend(opt, rule, play)

class Moved(nn.Module):
    def __init__(self): super().__init__(); self.net, self.m = mlp_d(), torch.zeros(2)
    def forward(self, x):
        if self.training: self.m.data.lerp_(x.detach().mean(0), .5)
        return self.net(x - self.m)

class Dropped(nn.Module):
    def __init__(self): super().__init__(); self.a, self.drop, self.b = nn.Linear(2, 8), nn.Dropout(.5), nn.Linear(8, 1)
    def forward(self, x): return self.b(checkpoint(lambda v: torch.tanh(self.a(self.drop(v))), x, use_reentrant=False))

def looking(engine, what):
    def loss(fake): return what(t)*g_loss(fake)
    t = make(engine, game=Game(d_loss, loss))
    return t

def seeded(fake, fakes):
    torch.manual_seed(0)
    return g_loss(fake + .5*torch.randn(fake.shape))

def new_parameter(t): t.gan.generator[0].weight = nn.Parameter(t.gan.generator[0].weight.detach()*.5)

refused = dict(
    dampening=(lambda e: make(e, d_rule=momentum_sgd(.01, dampening=linear(0, .9, 10))), 'SGD with a schedule of dampening'),
    own_rule=(lambda e: make(e, d_rule=Saw(torch.optim.SGD, lr=.01)), 'a rule of your own, Saw'),
    trainer_in_a_closure=(lambda e: looking(e, lambda t: 1 + t.iteration/10), 'could look at the trainer itself'),
    rate_in_a_closure=(lambda e: looking(e, lambda t: t.d_opt.param_groups[0]['lr']), 'could look at the trainer itself'),
    seed=(lambda e: make(e, game=Game(d_loss, seeded)), "sets the state of torch's random numbers"),
    record=(lambda e: make(e, cls=Longer), "looks at the trainer's record"), moves=(lambda e: make(e, cls=Alone), 'moves of one player alone'),
    rates=(lambda e: make(e, cls=Rates), "looks at its optimiser's or rule's param_groups"),
    source=(lambda e: make(e, cls=Source), "looks at its source's m"), twice=(lambda e: make(e, cls=Twice), 'only the eager engine'),
    data=(lambda e: make(e, D=Moved()), 'discriminator.m'), script=(lambda e: make(e, D=torch.jit.script(mlp_d())), 'TorchScript'))


@pytest.mark.parametrize('what', refused)
def test_refused_in_one_line(what):
    run, line = refused[what]
    with pytest.raises(ValueError, match=line): run('recorded').fit(5, progress=False)
    assert run('eager').fit(5, progress=False).iteration == 5


@pytest.mark.filterwarnings('ignore:Full backward hook')
@pytest.mark.parametrize('register, whose', [
    (register_optimizer_step_post_hook, 'optimisers'), (module_hooks.register_module_forward_hook, 'modules'),
    (module_hooks.register_module_forward_pre_hook, 'modules'), (module_hooks.register_module_full_backward_hook, 'modules'),
    (module_hooks.register_module_full_backward_pre_hook, 'modules')])
def test_hooks_of_all_are_called_by_eager_only(register, whose):
    handle = register(lambda *_: None)
    try:
        with pytest.raises(ValueError, match=f'hooks of all {whose}'): make('recorded').fit(3, progress=False)
        with pytest.raises(ValueError, match=f'hooks of all {whose}'): Ensemble(make('eager'), 'eager').fit(3, progress=False)
        assert make('eager').fit(3, progress=False).iteration == 3
    finally: handle.remove()


@pytest.mark.parametrize('engine', ['eager', 'recorded'])
def test_dropout_that_is_calculated_once_more_is_refused(engine):
    with pytest.raises(ValueError, match='dropout within torch.utils.checkpoint'): make(engine, D=Dropped()).fit(2, progress=False)


@pytest.mark.parametrize('engine', ['eager', 'recorded'])
def test_a_parameter_that_came_later_is_named_at_once(engine):
    t = make(engine, hooks=[At(new_parameter)])
    with pytest.raises(ValueError, match="the generator's optimiser does not know 0.weight"): t.fit(10_000, progress=False)
    assert t.iteration < 10_000


@pytest.mark.parametrize('train', [lambda t: t.alone('g'), lambda t: Ensemble(t, 'eager').fit(1, progress=False), lambda t: t.fit(1, progress=False)])
def test_a_parameter_that_came_later_is_named_whoever_trains(train):
    t = make('eager').fit(2, progress=False)
    new_parameter(t)
    before = weights(t)
    with pytest.raises(ValueError, match="the generator's optimiser does not know 0.weight") as e: train(t)
    assert '\n' not in str(e.value) and torch.equal(weights(t), before) and t.moves == 0


@pytest.mark.parametrize('engine', ['eager', 'recorded'])
def test_a_state_within_a_block_would_lack_rows(engine):
    t = make(engine)
    for act in (lambda t: t.state_dict(), lambda t, s=t.state_dict(): t.load_state_dict(s)):
        t.hooks = [type('Hook', (), {'after_iteration': lambda self, t, act=act: act(t)})()]
        with pytest.raises(ValueError, match='take or put back a state in after_block'): t.fit(3, progress=False)
        t.hooks = []
        t.fit(3, progress=False)
    assert len(t.history['d_loss']) == t.iteration


def test_members_with_other_shares_or_decays_are_refused():
    pairs = [labelled('eager', False) for _ in 'ab'], [make('eager', d_rule=adam(weight_decay=.1, decoupled_weight_decay=o)) for o in (True, False)]
    pairs[0][1].gan.set_shares([.3, .7])
    for members, what in zip(pairs, ('gan.shares', 'd_rule')):
        with pytest.raises(ValueError, match=f'must have the same {what}'): Ensemble(members, 'eager').fit(2, progress=False)
