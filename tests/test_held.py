"What a fast engine was made for may change in the course of a run: it goes on as the lines would, or refuses, before anything is moved"
import math, operator, random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from gan_nbdev.all import *
from gan_nbdev.engines.choice import engines
from gan_nbdev.engines.held import differing, held, hidden
from gan_nbdev.engines.recorded import Recorded
from gan_nbdev.games.table import games


@pytest.fixture(autouse=True)
def recorded_by_name(monkeypatch): monkeypatch.setitem(engines, 'recorded', Recorded)


def make(D=None, engine='eager', cls=Trainer, game='non-saturating', seed=0, data=None, **kw):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), D or mlp_discriminator(2, (8,), seed=1), normal(2))
    rules = dict(d_rule=momentum_sgd(.05), g_rule=momentum_sgd(.05)) | kw
    t = cls(gan, data or ring(), game, seed=seed, device='cpu', **(dict(batch_size=16) if data is None else {}), **rules)
    t.engine = engine
    return t


def weights(t): return torch.cat([p.detach().flatten() for p in t.gan.parameters()])


class AfterBlock:
    every = 20
    def __init__(self, change): self.change = change
    def after_block(self, t):
        if t.iteration == 20: self.change(t)


class AfterIteration:
    def __init__(self, change): self.change = change
    def after_iteration(self, t):
        if t.iteration == 20: self.change(t)


def cut(t):
    for p in t.gan.discriminator.parameters(): p.data = p.data.clamp(-.1, .1)


changes = dict(game=lambda t: t.change(game='hinge'), clips=lambda t: t.change(d_rule=momentum_sgd(.05, clip_weights=.05)),
               rule=lambda t: t.change(d_rule=rmsprop()), k=lambda t: t.change(k=3), k_g=lambda t: t.change(k_g=2),
               minibatch=lambda t: t.change(batch_size=24), frozen=lambda t: t.gan.discriminator[0].requires_grad_(False),
               other_tensors=cut, optimiser_emptied=lambda t: t.d_opt.state.clear(), accumulate=lambda t: setattr(t, 'accumulate', 2))


def rmsprop(): return Rule(torch.optim.RMSprop, lr=1e-3)


@pytest.mark.parametrize('what', changes)
@pytest.mark.parametrize('hook', [AfterBlock, AfterIteration])
def test_what_a_hook_changes_holds_from_the_next_iteration(hook, what):
    eager, fast, never = (make(engine=e, hooks=[hook(f)]).fit(40, progress=False) for e, f in
                          (('eager', changes[what]), ('recorded', changes[what]), ('eager', lambda t: None)))
    assert (weights(eager) - weights(fast)).abs().max() < 1e-4 < (weights(eager) - weights(never)).abs().max()
    assert fast.history.keys() == eager.history.keys() and len(fast.history['d_loss']) == 40


def test_weights_that_a_hook_puts_in_others_place_each_time_are_taken_up():
    class Cut:
        def after_iteration(self, t): cut(t)
    eager, fast = (make(engine=e, hooks=[Cut()]).fit(20, progress=False) for e in ('eager', 'recorded'))
    assert (weights(eager) - weights(fast)).abs().max() < 1e-6 and fast.remade == 0


price = {'w': 0.}
def priced(): return games['non-saturating'].with_(d_terms=dict(size=lambda real, fake: price['w']*(real**2 + fake**2).mean()))


class Raise:
    def after_iteration(self, t): price['w'] = t.iteration/10


def test_a_weight_that_a_hook_raises_on_and_on_is_for_the_eager_engine():
    price['w'] = 0.
    fast = make(engine='recorded', game=priced(), hooks=[Raise()])
    with pytest.raises(ValueError, match="again and again: choose engine='eager'"): fast.fit(20, progress=False)
    price['w'] = 0.
    eager = make(game=priced(), hooks=[Raise()]).fit(fast.iteration, progress=False)
    assert 0 < fast.iteration < 20 and (weights(fast) - weights(eager)).abs().max() < 1e-5


@pytest.mark.parametrize('change', [lambda t: price.update(w=1.), lambda t: setattr(t, 'accumulate', 3),
                                    lambda t: setattr(t.d_rule, 'clip_weights', .05), lambda t: setattr(t.gan.discriminator, 'gain', .5)])
def test_what_changes_between_two_fits_holds_in_the_second(change):
    class Gain(nn.Module):
        def __init__(self): super().__init__(); self.net, self.gain = mlp_discriminator(2, (8,), seed=1), 1.
        def forward(self, x): return self.gain*self.net(x)
    def run(engine):
        price['w'] = 0.
        t = make(Gain(), engine, game=priced()).fit(10, progress=False)
        change(t)
        return weights(t.fit(10, progress=False))
    assert (run('eager') - run('recorded')).abs().max() < 1e-5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.calls, self.mean = mlp_discriminator(2, (8,), seed=1), 0, torch.zeros(2)
        self.register_buffer('kept', torch.zeros(2))

class Counts(Net):
    def forward(self, x): self.calls += 1; return self.net(x)*(1. if self.calls < 100 else .3)

class Rare(Net):
    def forward(self, x): return self.net(x)*(.5 if random.random() < .02 else 1)

class InPlace(Net):
    def forward(self, x):
        with torch.no_grad(): self.mean.mul_(.9).add_(.1*x.mean(0))
        return self.net(x - self.mean)

class Reassigned(Net):
    def forward(self, x):
        with torch.no_grad(): self.kept = .9*self.kept + .1*x.mean(0)
        return self.net(x - self.kept)

class OldNorm(Net):
    def __init__(self): super().__init__(); self.net = nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 8)), nn.ReLU(), nn.Linear(8, 1))
    def forward(self, x): return self.net(x)


@pytest.mark.parametrize('net', [Counts, Rare, InPlace, Reassigned, OldNorm])
def test_networks_that_change_more_than_their_weights_are_refused_and_as_they_were(net):
    torch.manual_seed(0)
    t, D = make(D := net(), 'recorded'), D
    before, kept = weights(t), (D.calls, D.mean.clone(), D.kept.clone())
    with pytest.raises(ValueError, match='only the eager engine can train'): t.fit(5, progress=False)
    assert torch.equal(weights(t), before) and D.calls == kept[0] and torch.equal(D.mean, kept[1]) and torch.equal(D.kept, kept[2])
    torch.manual_seed(0)
    other = make(net()).fit(5, progress=False)
    t.change(engine='eager').fit(5, progress=False)
    assert torch.equal(weights(t), weights(other))   # as if nothing had been tried


class LeavesTensor(nn.Module):
    def __init__(self): super().__init__(); self.l, self.last = nn.Linear(2, 2), None
    def forward(self, z): self.last = self.l(z).detach(); return self.l(z)

class Sequence(nn.Module):
    def __init__(self): super().__init__(); self.l = nn.GRU(2, 2, batch_first=True)
    def forward(self, z): return self.l(z[:, None])[0][:, 0]


@pytest.mark.filterwarnings('ignore:.*weight_norm:FutureWarning')
@pytest.mark.parametrize('net, what', [(LeavesTensor, 'generator.last'), (lambda: nn.utils.weight_norm(nn.Linear(2, 2)), 'generator.weight'),
                                       (lambda: nn.utils.spectral_norm(nn.Linear(2, 2)), 'generator.weight')])
def test_networks_that_keep_a_tensor_between_calls_are_refused_by_its_name(net, what):
    t = Trainer(GAN(net(), mlp_discriminator(2, (8,), seed=1), normal(2)), ring(), batch_size=16, engine='recorded', device='cpu')
    with pytest.raises(ValueError, match=f"an iteration changes more than the networks' tensors, {what}"): t.fit(1, progress=False)


def test_recurrent_layers_are_refused_by_name():
    def make(seed, engine='recorded'):
        torch.manual_seed(seed)
        return Trainer(GAN(Sequence(), mlp_discriminator(2, (8,), seed=1), normal(2)), ring(), batch_size=16, engine=engine, device='cpu')
    for refused in (make(0), Ensemble([make(s, 'eager') for s in (0, 1)], 'eager')):
        with pytest.raises(ValueError, match=r'a step calls generator.l, a recurrent layer \(GRU\)'): refused.fit(1, progress=False)


class OwnGrad(nn.Module):
    def __init__(self): super().__init__(); self.net, self.grad = mlp_discriminator(2, (8,), seed=1), .5
    def forward(self, x): return self.net(x)*self.grad

class ReadsGrad(OwnGrad):
    def forward(self, x): return self.net(x)*(1 if self.net[0].weight.grad is None else 2)

def slopes(discriminator, x): return torch.func.vmap(torch.func.grad(lambda v: discriminator(v[None]).sum()))(x).pow(2).mean()


def test_only_the_gradients_of_tensors_are_hidden():
    "What else is called grad is followed: torch's functions, and an attribute of one's own"
    kept = [held(make(D=OwnGrad())), held(make(game=games['non-saturating'].with_(d_terms=dict(slopes=slopes))))]
    assert not any(hidden in o for o in kept) and .5 in map(float, [v for k, v in kept[0].items() if k.endswith('.grad')])
    assert 'gradients (.grad)' in held(make(D=ReadsGrad()))[hidden]
    with pytest.raises(ValueError, match='grad'): make(D=ReadsGrad(), engine='recorded').fit(1, progress=False)
    make(D=OwnGrad(), engine='recorded').fit(2, progress=False)


class Acts(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.a, self.b, self.act = mlp_discriminator(2, (8,), seed=1), [1.], [1.], torch.sigmoid
    def forward(self, x): return self.act(self.net(x))


@pytest.mark.parametrize('a, b', [(torch.relu, torch.tanh), (F.relu, F.elu), (math.sin, math.cos), (max, min), (nn.ReLU, nn.Tanh), (math, operator),
                                  (partial(torch.relu), partial(torch.tanh)), ([torch.relu], [torch.tanh]), (dict(a=F.relu), dict(a=F.elu))])
def test_functions_and_classes_that_are_known_are_told_apart(a, b):
    t = make(D := Acts())
    def seen(act, **kw): D.act = act; return held(t, **kw)
    assert differing(seen(a), seen(a)) is None and differing(seen(a), seen(b)).startswith('discriminator.act')
    assert differing(seen(a, values=True), seen(b, values=True)).startswith('discriminator.act')


def test_a_part_in_the_place_of_another_is_another():
    t = make(D := Acts())
    D.act = D.a
    before = held(t)
    D.act = D.b
    assert differing(before, held(t))


def test_a_known_function_that_is_replaced_holds_from_the_next_iteration():
    def run(engine):
        t = make(D := Acts(), engine)
        D.act = torch.tanh
        t.fit(10, progress=False)
        D.act = torch.sin
        return weights(t.fit(10, progress=False))
    assert torch.allclose(run('eager'), run('recorded'), atol=1e-5)


factor = torch.tensor(.5)
reads = dict(item=lambda v: v*factor.item(), float=lambda v: v*float(factor), tolist=lambda v: v*factor.tolist(), numpy=lambda v: v*float(factor.numpy()),
             argument=lambda v: F.leaky_relu(v, factor), list=lambda v: v*torch.tensor([factor]), equal=lambda v: v*torch.equal(factor, torch.tensor(.5)))
kept_reads = dict(made=lambda v: v*torch.tensor(.5).item(), tensor=lambda v: v*factor, of_another=lambda v: v*(factor*2).item())

def with_term(f): return games['non-saturating'].with_(d_terms=dict(size=lambda real: f(real).mean()))


@pytest.mark.parametrize('way', reads)
def test_a_number_read_from_a_tensor_is_refused(way):
    "A program would have it for ever"
    t = make(engine='recorded', game=with_term(reads[way]))
    with pytest.raises(ValueError, match=r'a step reads a number from tensor\(0.5000\), as item\(\)'): t.fit(1, progress=False)
    assert t.iteration == 0


@pytest.mark.parametrize('way', kept_reads)
def test_a_tensor_that_a_hook_writes_to_holds_from_the_next_iteration(way):
    class Writes:
        def after_iteration(self, t):
            if t.iteration == 3: factor.fill_(.9)
    def run(engine):
        factor.fill_(.5)
        return make(engine=engine, game=with_term(kept_reads[way]), hooks=[Writes()]).fit(6, progress=False).history['size']
    eager, fast = run('eager'), run('recorded')
    factor.fill_(.5)
    assert abs(eager - fast).max() < 1e-6


class Every(Trainer):
    def d_step(self):
        if self.iteration % 500 == 250: raise AssertionError
        return super().d_step()

class Later(Trainer):
    def step(self):
        if self.iteration >= 100: self.d_opt.param_groups[0]['lr'] = 0.
        return super().step()


@pytest.mark.parametrize('cls', [Every, Later])
def test_a_step_that_asks_for_the_iteration_is_refused(cls):
    with pytest.raises(ValueError, match="calculates with the trainer's iteration"): make(engine='recorded', cls=cls).fit(5, progress=False)


# ---- ensembles

class Lam(Trainer):
    def d_step(self):
        said = super().d_step()
        with torch.no_grad():
            for p in self.gan.discriminator.parameters(): p.mul_(1 - self.lam)
        return said

def with_lam(lam, seed=0):
    t = make(cls=Lam, seed=seed)
    t.lam = lam
    return t


@pytest.mark.parametrize('members, what', [
    (lambda: [make(d_rule=momentum_sgd(.05, clip_gradient=c)) for c in (.1, .01)], 'd_rule.clip_gradient'),
    (lambda: [with_lam(0.), with_lam(.001)], 'trainer.lam'), (lambda: [make(), make(accumulate=2)], 'trainer.accumulate'),
    (lambda: [make(nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(s), nn.Linear(8, 1))) for s in (.2, .195)], 'networks')])
def test_members_that_differ_are_refused_by_name(members, what):
    with pytest.raises(ValueError, match=f'must have the same {what}, but member 0 has') as e: Ensemble(members(), 'eager').fit(2, progress=False)
    assert '\n' not in str(e.value)


def test_members_that_are_alike_train_as_each_alone():
    alone, together = ([with_lam(.01, seed) for seed in (0, 1)] for _ in range(2))
    for t in alone: t.fit(20, progress=False)
    Ensemble(together, 'eager').fit(20, progress=False)
    assert all((weights(a) - weights(b)).abs().max() < 1e-5 for a, b in zip(alone, together))


class Noisy(Net):
    def forward(self, x): return self.net(x + .1*torch.randn_like(x))


def test_members_that_draw_themselves_are_refused():
    with pytest.raises(ValueError, match='draws random numbers itself'): Ensemble([make(Noisy()), make(Noisy(), seed=1)], 'eager').fit(2, progress=False)


def test_a_loader_that_shuffles_is_as_it_is_alone():
    rows = torch.randn(96, 2, generator=torch.Generator().manual_seed(0))
    def two(): return [make(data=DataLoader(rows, batch_size=16, shuffle=True), seed=s) for s in (0, 1)]
    alone, together = two(), two()
    for t in alone: t.fit(15, progress=False)
    state = torch.get_rng_state()
    Ensemble(together, 'eager').fit(15, progress=False)
    assert torch.equal(state, torch.get_rng_state())
    assert all((weights(a) - weights(b)).abs().max() < 1e-5 for a, b in zip(alone, together))


def test_saving_changes_nothing_that_a_program_assumes(tmp_path):
    t, other = make(engine='recorded'), make(seed=1).fit(10, progress=False)
    engine = t.fit(5, progress=False).made_engine[2]
    t.save(tmp_path/'c')
    assert t.fit(5, progress=False).made_engine[2] is engine
    assert Ensemble([t, other], 'eager').fit(2, progress=False).failed == {} and t.iteration == 12


# ---- the rest

def test_a_scheduler_is_no_hook_and_a_new_layer_needs_a_new_rule():
    t = make()
    t.hooks.append(torch.optim.lr_scheduler.StepLR(t.d_opt, 1))
    with pytest.raises(ValueError, match='StepLR is no hook: a Rule takes it'): t.fit(1, progress=False)
    t.hooks.clear()
    t.gan.discriminator[-1] = nn.Linear(8, 1)
    with pytest.raises(ValueError, match="the discriminator's optimiser does not know 2.weight"): t.fit(1, progress=False)
    before = t.gan.discriminator[-1].weight.clone()
    t.change(d_rule=momentum_sgd(.05)).fit(1, progress=False)
    assert not torch.equal(before, t.gan.discriminator[-1].weight)
