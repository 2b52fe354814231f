"The engines and the ensemble beyond a notebook cell: held against the eager engine's iterations."
import copy
import functools
import pickle
import random
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

import gan_nbdev.engines.choice as lib
import gan_nbdev.engines.recorded as programs
from gan_nbdev.data import normal, ring
from gan_nbdev.experiments import experiment
from gan_nbdev.engines.choice import choose
from gan_nbdev.engines.compiled import has_compiler
from gan_nbdev.engines.recorded import Recorded
from gan_nbdev.support.devices import by_threads, computing
from gan_nbdev.engines.ensemble import Ensemble, Stacked
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.algorithm import Rule, adam, linear, momentum_sgd
from gan_nbdev.trainer import EMA, Trainer
from gan_nbdev.games.game import Game
from gan_nbdev.games.table import games

# `deviation` says how far apart two runs are. Measured with torch 2.13 on AVX-512, without | with
# batch norm, which divides by the spread of a minibatch and so magnifies roundings of gradients:
# after 1 iteration 1.9e-7 | 6.4e-6 at most, a few roundings of float32 (6e-8 each); after up to 200
# 1.8e-6 | 1.9e-5. In the long run the game is chaotic, but with these rates, and with tanh, which
# has no kink that one engine could pass on the left and the other on the right, roundings hardly
# grow. The bounds are about ten times that, since another processor rounds otherwise. A rate that
# is 1 % off deviates by 5.8e-4 | 5.3e-4 at least after 1 iteration, 4.3e-2 | 5.2e-3 after 200.
ONE, MANY = {None: 2e-6, 'batch': 5e-5}, {None: 2e-5, 'batch': 2e-4}

rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
datas = dict(distribution=ring(), memory=Samples(rows),
             stream=Stream(TensorDataset(rows), scale=None))   # an epoch is 6 minibatches
# no batch norm with Adam, which makes whole steps of gradients that are 0 but for rounding
kinds = [dict(rule='sgd'), dict(rule='sgd', norm='batch'), dict(rule='adam')]


def compiled(*args):
    "A case of a test"
    without = pytest.mark.skipif(not has_compiler(), reason='needs a C++ compiler')
    return pytest.param('compiled', *args, marks=without)


@pytest.fixture(autouse=True)
def recorded(monkeypatch): monkeypatch.setitem(lib.engines, 'recorded', Recorded)


def make(engine='eager', rule='sgd', norm=None, data='distribution', rate=1., seed=0, device='cpu',
         game='non-saturating', generator=None, discriminator=None, **kw):
    "All begin with the same weights; the seed is that of data, noise and dropout"
    data = datas.get(data, data)
    rules = dict(sgd=momentum_sgd(linear(0.02*rate, 0.01*rate, 200), 0.5),
                 adam=adam(linear(1e-3*rate, 5e-4*rate, 200)))
    rule = rules.get(rule, rule)
    how = dict(act='tanh', norm=norm, dropout=0.3)
    G = generator() if generator else mlp_generator(2, data.dim, (16,), seed=0, **how)
    D = discriminator() if discriminator else mlp_discriminator(data.dim, (16,), seed=1, **how)
    return Trainer(GAN(G, D, normal(2)), data, game, batch_size=32, d_rule=rule, g_rule=rule,
                   seed=seed, device=device, engine=engine, **kw)


def fit(t, n): return t.fit(n, progress=False)


def held(t):
    "Parameters, buffers and optimiser state by kind and network, and the statistics: flat tensors"
    found = {c: [torch.tensor(v)] for c, v in t.history.items()}
    for who, opt in (('discriminator', t.d_opt), ('generator', t.g_opt)):
        net = getattr(t.gan, who)
        found[who, 'parameters'] = list(net.parameters())
        named = [(n.split('.')[-1], b) for n, b in net.named_buffers()]
        for kind, v in named + [o for own in opt.state.values() for o in own.items()]:
            found.setdefault((who, kind), []).append(v)
    return {k: torch.cat([v.detach().flatten() for v in vs]).cpu() for k, vs in found.items()}


def deviation(a, b):
    "The largest difference of two runs, relative to the largest number of its kind"
    a, b = held(a), held(b)
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}
    for k in a:
        if 'exp_avg_sq' in k: a[k], b[k] = a[k].sqrt(), b[k].sqrt()   # the size of gradients
    return torch.stack([(a[k].double() - b[k]).abs().max()/a[k].abs().max().clamp(min=1e-9)
                        for k in a]).max().item()


def same_rng(a, b):
    return (torch.equal(a.rng.get_state(), b.rng.get_state())
            and str(a.source.state_dict()) == str(b.source.state_dict()))


def same(a, b):
    mine, other = held(a), held(b)
    return (mine.keys() == other.keys() and all(torch.equal(mine[k], other[k]) for k in mine)
            and same_rng(a, b))


def agree(engine, norm=None, n=60, **kw):
    "After one iteration and after `n`; so many that a rate 1 % off shows far beyond the bound"
    eager, other, wrong = (make(e, norm=norm, rate=r, **kw)
                           for e, r in (('eager', 1.), (engine, 1.), ('eager', 1.01)))
    for n, bound in ((1, ONE[norm]), (n - 1, MANY[norm])):
        assert deviation(fit(eager, n), fit(other, n)) < bound and same_rng(eager, other)
        assert deviation(eager, fit(wrong, n)) > 10*bound


@pytest.mark.parametrize('engine, kw', [
    *[('recorded', dict(game=v, k=k, **kind))   # test_games has all games
      for v, k in (('minimax', 3), ('non-saturating', 1)) for kind in kinds],
    ('recorded', dict(n=200)), ('recorded', dict(norm='batch', n=200)),
    ('recorded', dict(data='memory', k=3)), ('recorded', dict(data='stream', k=3)),
    ('recorded', dict(k=2, k_g=3)),
    compiled(dict(game='minimax', k=2, k_g=2, rule='adam')), compiled(dict(norm='batch'))], ids=str)
def test_agrees_with_eager(engine, kw): agree(engine, **kw)


class Augmented(TensorDataset):
    "Items with noise from all the global generators"
    def __getitem__(self, i):
        return super().__getitem__(i)[0] + torch.rand(()) + np.random.rand() + random.random()


@pytest.mark.parametrize('seed', [0, 1])
def test_data_that_draw_are_the_same_in_every_engine(seed):
    rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    runs = [make(e, data=Stream(Augmented(rows), scale=None), seed=seed)
            for e in ('eager', 'recorded')]
    assert deviation(*[fit(t, 20) for t in runs]) < MANY[None]


def test_another_seed_does_not_agree():
    assert deviation(fit(make(), 200), fit(make(seed=1), 200)) > 1000*MANY[None]
    assert not same_rng(make(), make(seed=1))


def passed_on(engines, each=10, **kw):
    "A run that changes its trainer, and engine, every few iterations; the last trainer"
    state = None
    for engine in engines:
        t = make(engine, seed=0 if state is None else 7, **kw)
        if state: t.load_state_dict(state)
        state = fit(t, each).state_dict()
    return t


@pytest.mark.parametrize('other, kw', [
    ('recorded', dict(rule='adam', game='minimax')), compiled(dict(norm='batch'))], ids=str)
def test_a_run_goes_on_with_another_engine(other, kw):
    whole, mixed = fit(make(**kw), 30), passed_on(['eager', other, 'eager'], **kw)
    assert deviation(whole, mixed) < MANY[kw.get('norm')] and same_rng(whole, mixed)
    assert mixed.iteration == len(mixed.history['value']) == 30


@pytest.mark.parametrize('engine, times, each, kw', [
    *[('recorded', 4, 1, dict(data=data, k=2, **kind))   # past an epoch's end
      for data, kind in zip(('memory', 'stream', 'memory', 'stream'), (*kinds, kinds[0]))],
    compiled(2, 10, dict(norm='batch'))], ids=str)
def test_state_put_back_goes_on_exactly(engine, times, each, kw):
    whole = fit(make(engine, **kw), times*each)
    assert same(whole, passed_on([engine]*times, each, **kw))


@pytest.mark.parametrize('change', [
    lambda t: t.gan.eval(), lambda t: t.gan.generator.eval(), lambda t: setattr(t, 'k', 3),
    lambda t: [p.requires_grad_(False) for p in t.gan.generator[0].parameters()],
    lambda t: t.gan.apply(lambda m: isinstance(m, nn.Dropout) and setattr(m, 'p', 0.6)),
    lambda t: t.d_opt.param_groups[0].update(weight_decay=0.1, momentum=0.),
    lambda t: setattr(t, 'd_rule', momentum_sgd(linear(0.1, 0, 100), 0.5))])
def test_an_engine_is_made_anew_when_what_it_assumed_changes(change):
    eager, t = fit(make(norm='batch'), 10), fit(make('recorded', norm='batch'), 10)
    engine, bound = t.made_engine[2], MANY['batch']
    assert fit(t, 5).made_engine[2] is engine and deviation(fit(eager, 5), t) < bound
    change(eager); change(t)
    fit(eager, 20); fit(t, 20)
    assert t.made_engine[2] is not engine and deviation(eager, t) < bound
    assert deviation(t, fit(make(norm='batch'), 35)) > 10*bound   # the change mattered


@pytest.mark.parametrize('rule', ['sgd', 'adam'])
def test_an_engine_takes_up_other_state(rule):
    whole, early = fit(make('recorded', rule=rule), 30), fit(make('recorded', rule=rule), 10)
    t = fit(make('recorded', rule=rule, seed=7), 25)
    t.load_state_dict(early.state_dict())
    assert same(t, early) and same(fit(t, 20), whole)


def weights_of(net): return nn.utils.parameters_to_vector(net.parameters())


def freeze(t, on): t.gan.generator[0].requires_grad_(not on)


def test_frozen_parameters_keep_their_own_count():
    "Adam's corrections need each parameter's number of steps"
    runs = [make(e, 'adam') for e in ('eager', 'recorded')]
    for t in runs:
        first = weights_of(fit(t, 5).gan.generator[0])
        freeze(t, True)
        assert torch.equal(first, weights_of(fit(t, 5).gan.generator[0]))
    assert deviation(*runs) < MANY[None] and runs[1].made_engine
    for t in runs: freeze(t, False)
    with pytest.raises(ValueError, match='Adam for parameters that have made different numbers'):
        fit(runs[1], 5)
    runs[1].engine = 'eager'
    assert deviation(*[fit(t, 5) for t in runs]) < MANY[None]


class Drops(nn.Module):
    "A discriminator that calls dropout without a layer for it"
    def __init__(self):
        super().__init__()
        self.net = mlp_discriminator(2, (16,), act='tanh', seed=1)
    def forward(self, x):
        x = F.dropout(self.net[:2](x), 0.3, self.training)
        return self.net[2:](F.dropout(x, 0.1, self.training, inplace=True))


def test_dropout_as_a_function_is_the_same_in_every_engine():
    runs = [make(e, discriminator=Drops) for e in ('eager', 'recorded')]
    assert deviation(*[fit(t, 50) for t in runs]) < MANY[None] and same_rng(*runs)
    drawn = make(discriminator=Drops).rng.get_state()
    assert not torch.equal(fit(make(discriminator=Drops), 1).rng.get_state(), drawn)


def test_a_trainer_with_an_engine_can_be_copied_and_pickled():
    t = fit(make('recorded'), 10)
    for other in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
        assert same(t, other) and same(fit(other, 10), fit(make('recorded'), 20))


def test_steps_of_both_players_count_where_an_engine_pays():
    few, many = (lib.seconds_saved(make(**kw), 1000) for kw in (dict(), dict(k_g=11)))
    assert many > 5*few


def test_auto_keeps_short_runs_eager():
    t = fit(make('auto'), 50)
    assert t.made_engine is None and same(t, fit(make(), 50))
    assert choose(t, 10**7) == ('compiled' if has_compiler() else 'eager')


@pytest.mark.parametrize('planned, wanted', [(None, 50), (10, 50), (10**7, 10**7)])
def test_auto_goes_by_the_length_that_is_planned(planned, wanted, monkeypatch):
    monkeypatch.setattr(lib, 'choose', lambda trainer, iterations: iterations)
    t = make('auto')
    t.length = planned
    assert t.engine_name(50) == wanted


class Branches(nn.Module):
    "A generator whose way depends on its numbers: no program can be written down"
    def __init__(self):
        super().__init__()
        self.net = mlp_generator(2, 2, (16,), norm='batch', seed=0)
    def forward(self, z): return self.net(z) if self.net(z).mean() > 0 else 2*self.net(z)


class Draws(nn.Module):
    "A generator that asks NumPy for noise"
    def __init__(self): super().__init__(); self.net = mlp_generator(2, 2, (16,), seed=0)
    def forward(self, z): return self.net(z) + 0.1*float(np.random.rand())


@pytest.mark.parametrize('why, kw', [
    ('only the eager engine can train this GAN', dict(generator=Draws)),
    ('only the eager engine can run Adagrad', dict(rule=Rule(torch.optim.Adagrad, lr=1e-2))),
    ('this GAN cannot be written down', dict(generator=Branches))])
def test_what_an_engine_cannot_run_is_left_untrained_or_to_eager(why, kw, monkeypatch):
    monkeypatch.setattr(lib, 'choose', lambda trainer, iterations: 'compiled')
    t, eager = make('compiled', **kw), make(**kw)
    with pytest.raises(ValueError, match=why): fit(t, 10)
    assert t.iteration == len(t.history['value']) == 0 and same_rng(t, eager)
    assert all(torch.equal(v, t.gan.state_dict()[k]) for k, v in eager.gan.state_dict().items())
    t.engine = 'auto'
    with pytest.warns(UserWarning, match=f'{why}.*Training goes on with the eager'): fit(t, 10)
    assert same(t, fit(eager, 10))


def test_nan_within_a_block_is_told_as_by_eager():
    told = []
    for engine in ('eager', 'recorded'):
        t = make(engine)
        draw = t.source.next
        t.source.next = lambda: draw()*(float('nan') if t.iteration == 20 else 1)
        with pytest.raises(FloatingPointError, match='at iteration 21:') as e: fit(t, 50)
        assert t.iteration == len(t.history['value']) == 20
        told.append(str(e.value))
    assert told[0] == told[1]


class At:
    "A hook that does something after iteration `n`"
    def __init__(self, n, act): self.n, self.act = n, act
    def after_iteration(self, trainer): trainer.iteration == self.n and self.act(trainer)


def test_stops_within_a_block_and_goes_on_exactly():
    t = fit(make('recorded', hooks=[At(21, Trainer.stop)]), 50)
    assert t.iteration == len(t.history['value']) == 21 and t.stopped == 'asked to stop'
    assert same(fit(t, 29), fit(make('recorded'), 50))


def test_hooks_see_every_iteration():
    averages, rates = [], {}
    for engine in ('eager', 'recorded'):
        t, seen = make(engine), rates.setdefault(engine, [])
        look = At(25, lambda t: seen.append(t.d_opt.param_groups[0]['lr']))
        t.hooks = [EMA(t.gan, half_life=5), look]
        averages.append(weights_of(fit(t, 40).hooks[0].gan.generator))
    assert (averages[0] - averages[1]).abs().max() < MANY[None]
    assert (averages[0] - weights_of(t.gan.generator)).abs().max() > 100*MANY[None]
    assert rates['eager'] == rates['recorded'] == [t.d_rule.at(24)['lr']]


@pytest.mark.parametrize('engine, precision', [
    (e, p) for e in ('eager', 'recorded') for p in ('bf16', 'medium')])
def test_lower_precision_trains_and_is_put_back(engine, precision):
    "bf16 keeps 8 bits (2^-8 = 4e-3); the losses, near 1, were off by up to 3.9e-4"
    def settings(): return torch.get_float32_matmul_precision(), torch.is_autocast_enabled('cpu')
    def fail(trainer):
        inside.append(settings())
        raise RuntimeError('mine')
    t, inside, exact = make(engine, precision=precision), [], fit(make(engine), 1)
    torch.set_float32_matmul_precision('high')
    try:
        fit(t, 1)
        for c, v in exact.history.items(): assert abs(t.history[c][0] - v[0]) < 4e-3, c
        assert precision == 'medium' or deviation(t, exact) > 10*ONE[None]
        assert all(v.isfinite().all() for v in held(fit(t, 50)).values())
        assert settings() == ('high', False)
        t.hooks = [At(52, fail)]
        with pytest.raises(RuntimeError, match='mine'): fit(t, 50)
        assert settings() == ('high', False) and inside[0][1] == (precision == 'bf16')
        assert inside[0][0] == 'medium' or precision == 'bf16'
    finally: torch.set_float32_matmul_precision('highest')


def test_precision_of_two_threads():
    inside, seen, cpu = threading.Event(), [], torch.device('cpu')
    def other():
        inside.wait()
        with computing('float32', cpu, large=False): seen.append(how())
    how, thread = torch.get_float32_matmul_precision, threading.Thread(target=other)
    thread.start()
    with computing('medium', cpu):
        inside.set(); time.sleep(0.1)
        seen.append(how())
    thread.join()
    assert seen == ['medium', 'highest'] and how() == 'highest'


@pytest.mark.parametrize('engine', ['eager', 'recorded'])
def test_dropout_draws_from_the_trainers_own_generator(engine):
    def second(): return make(engine, seed=1, data='memory')
    alone, a, b = [fit(make(engine), 12), fit(second(), 12)], make(engine), second()
    done = threading.Event()
    def draw():
        while not done.is_set(): torch.rand(3)
    other = threading.Thread(target=draw)
    other.start()
    try:
        for _ in range(12): fit(a, 1); fit(b, 1)
        c = fit(make(engine), 12)
    finally: done.set(); other.join()
    assert same(a, alone[0]) and same(b, alone[1]) and same(c, alone[0])


def members(n=5, **kw):   # more than are stacked on a CPU
    return [make(seed=i, rate=1 + i/2, **kw) for i in range(n)]


@pytest.mark.parametrize('kw', [
    dict(), dict(norm='batch', k=2), dict(rule='adam', game='minimax'), dict(data='memory'),
    dict(data='stream', rule='adam')], ids=str)
def test_ensemble_agrees_with_solo_runs(kw):
    "Members differ in seed and rate"
    ensemble = Ensemble(members(**kw), 'eager').fit(60, progress=False)
    for t, solo in zip(ensemble.trainers, members(**kw)):
        assert deviation(t, fit(solo, 60)) < MANY[kw.get('norm')] and same_rng(t, solo)
    assert min(deviation(ensemble.trainers[0], t) for t in ensemble.trainers[1:]) > 0.1


def with_norm(norm, seed):
    torch.manual_seed(seed)   # spectral norm draws its first vectors
    t = make(seed=seed, k=2)
    D = nn.Sequential(norm(nn.Linear(2, 8)), nn.Tanh(), norm(nn.Linear(8, 1)))
    return Trainer(GAN(t.gan.generator, D, t.gan.noise), t.data, k=2, batch_size=16, seed=seed, device='cpu', engine='eager')

def test_members_may_have_spectral_norm():
    stack = Ensemble([with_norm(nn.utils.parametrizations.spectral_norm, s) for s in (0, 1)], 'eager').fit(20, progress=False)
    for s, t in enumerate(stack.trainers):
        solo = with_norm(nn.utils.parametrizations.spectral_norm, s).fit(20, progress=False)
        assert deviation(t, solo) < MANY[None] and same_rng(t, solo)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(t.gan.buffers(), solo.gan.buffers()))
    with pytest.raises(ValueError, match=r'cannot train the SpectralNorm of discriminator\.0, .*take one of torch.nn.utils.parametrizations'):
        Ensemble([with_norm(nn.utils.spectral_norm, s) for s in (0, 1)])


@pytest.mark.parametrize('engine, kw', [
    ('eager', dict(rule='adam')), ('eager', dict(norm='batch', k=2)),
    compiled(dict())], ids=str)
def test_a_member_of_an_ensemble_goes_on_alone(engine, kw):
    n = 2 if engine == 'compiled' else 5   # one program to compile
    stack = Ensemble(members(n, **kw), engine).fit(20, progress=False)
    for i, (t, solo) in enumerate(zip(stack.trainers, members(n, **kw))):
        alone = make('eager' if i else 'recorded', rate=1 + i/2, seed=7, **kw)
        alone.load_state_dict(t.state_dict())
        assert same(alone, t) and len(alone.history['value']) == 20
        assert deviation(fit(alone, 20), fit(solo, 40)) < MANY[kw.get('norm')]
        assert same_rng(alone, solo)


@pytest.mark.parametrize('change', [
    lambda t: t.gan.eval(), lambda t: setattr(t, 'k', 2), lambda t: freeze(t, True)])
def test_an_ensemble_notices_what_changes(change):
    stack, solo = Ensemble(members(norm='batch'), 'eager'), members(norm='batch')
    stack.fit(10, progress=False)
    for t in solo: fit(t, 10)
    change(stack.trainers[0])
    with pytest.raises(ValueError, match='the members must have the same'): stack.fit(10)
    for t in stack.trainers[1:] + solo: change(t)
    stack.fit(10, progress=False)
    for t, alone in zip(stack.trainers, solo):
        assert deviation(t, fit(alone, 10)) < MANY['batch']


def test_trainers_can_change_their_ensemble_but_keep_step():
    all_, solo = members(), members()
    first, second = Ensemble(all_, 'eager'), Ensemble(all_[:2], 'eager')
    first.fit(5, progress=False); second.fit(5, progress=False)
    with pytest.raises(ValueError, match='the same iteration, but member 0 has 10 and member 2 5'):
        first.fit(5)
    for t in all_[2:]: fit(t, 5)
    first.fit(5, progress=False)
    for t, alone in zip(all_, solo): assert deviation(t, fit(alone, 15)) < MANY[None]


@pytest.mark.parametrize('threads', [1, 3])
def test_members_keep_step_when_they_are_stopped_within_a_block(threads):
    ensemble, solo = Ensemble(members(), 'eager').fit(3, progress=False), members()
    source, drawn = ensemble.trainers[0].source, []
    def draw(next_x=source.next):
        drawn.append(1)
        if len(drawn) == 2: ensemble.stop('enough')   # the first of two iterations: blocks are of 1, 2, 4 …
        return next_x()
    source.next = draw
    with by_threads(threads): ensemble.fit(50, progress=False)
    n = ensemble.trainers[0].iteration
    assert ensemble.stopped == 'enough' and {t.iteration for t in ensemble.trainers} == {n}
    assert n == 5 if threads == 1 else n in (5, 6)   # another may have begun the second
    for t, alone in zip(ensemble.trainers, solo): assert deviation(t, fit(alone, n)) < MANY[None]


@pytest.mark.parametrize('engine, kw', [
    ('eager', dict(rule='adam', ema=5.)), ('eager', dict(precision='bf16', data='stream', k=2)), compiled(dict(n=4))], ids=str)
def test_members_are_the_same_on_any_number_of_threads(engine, kw):
    def trained(threads):
        with by_threads(threads): return Ensemble(members(**kw), engine).fit(30, progress=False).trainers
    for a, b in zip(trained(1), trained(3)):
        assert same(a, b) and same_rng(a, b)


def test_batch_norm_of_several_in_bf16_is_refused_before_anything_is_trained():
    ensemble = Ensemble(members(2, precision='bf16', norm='batch'), 'eager')
    with pytest.raises(ValueError, match="batch norm in bf16 goes with engine 'compiled'"): ensemble.fit(5, progress=False)
    assert {t.iteration for t in ensemble.trainers} == {0}


def test_what_others_wrote_is_called_by_one_thread_at_a_time():
    "Two stacks ask the same data, which cannot answer two at once"
    inside, seen = [], set()
    class OneAtATime(type(ring())):
        def sample(self, *args):
            assert not inside
            inside.append(1); seen.add(threading.get_ident())
            time.sleep(.001)   # others get the interpreter
            inside.pop()
            return super().sample(*args)
    data = ring()
    data.__class__ = OneAtATime
    with by_threads(2): Ensemble([make(data=data, seed=i) for i in range(5)], 'eager').fit(10, progress=False)
    assert len(seen) > 1   # or nothing ran side by side


def test_comparisons_take_the_same_share_of_the_time_in_an_ensemble(monkeypatch):
    "A clock that ticks once at each look: a comparison takes one tick"
    now = iter(range(10**6))
    monkeypatch.setattr(programs, 'time', SimpleNamespace(monotonic=lambda: next(now)))
    ensemble = Ensemble(members(), 'eager').fit(1, progress=False)
    parts = [p for stack in ensemble._made[1] for p in stack.parts]
    assert len(parts) == 5 and min(p.due for p in parts) > 5*150


def test_rates_of_members_changed_between_two_iterations_hold_from_the_next_one():
    def lower(t):
        for opt in (t.d_opt, t.g_opt): opt.param_groups[0]['lr'] /= 4
    def new(): return [make(seed=i, rule=momentum_sgd(0.02*(1 + i), 0.5)) for i in range(2)]
    stack, solo = Stacked(new(), compiled=False), [fit(t, 1) for t in new()]
    stack.begin(2)
    stack.step()
    for part in stack.parts: lower(part.trainer)
    stack.step()
    stack.end()
    for part, alone in zip(stack.parts, solo):
        lower(alone)
        fit(alone, 1)
        assert max((p - q).abs().max() for p, q in zip(part.trainer.gan.parameters(), alone.gan.parameters())) < 1e-6


def test_numbers_are_worked_out_once_for_members_with_the_same_rules(monkeypatch):
    "Each has rules of its own, and only the last another rate; of one the rate changes between two iterations"
    def new(): return [make(seed=i, rule='adam', rate=1 + (i == 3)) for i in range(4)]
    asked, numbers = [], Recorded.numbers
    stack, solo = Stacked(new(), compiled=False), new()
    monkeypatch.setattr(Recorded, 'numbers', lambda self, *args: asked.append(self) or numbers(self, *args))
    for n in 3, 4:
        asked.clear()
        stack.begin(n)
        assert asked == [stack.parts[0], stack.parts[3]]
        for i in range(n): stack.step()
        stack.end()
    stack.begin(2)
    stack.step()
    def slower(t): t.d_opt.param_groups[0]['betas'] = (.9, .9)
    slower(stack.parts[1].trainer)
    stack.step()
    stack.end()
    for i, (part, alone) in enumerate(zip(stack.parts, solo)):
        fit(alone, 8)
        if i == 1: slower(alone)
        fit(alone, 1)
        mine, its = ([[opt.param_groups[0][k] for k in ('lr', 'betas')] for opt in (t.d_opt, t.g_opt)] for t in (part.trainer, alone))
        assert mine == its and mine[0][0] == linear(1e-3*(1 + (i == 3)), 5e-4*(1 + (i == 3)), 200)(8)
        assert max((p - q).abs().max() for p, q in zip(part.trainer.gan.parameters(), alone.gan.parameters())) < 1e-6


def test_a_members_last_fakes_are_looked_at_too():
    def two(*rates):
        relu = dict(generator=lambda: mlp_generator(2, 2, (16,), seed=0))
        return Ensemble([make(**relu).change(g_rule=momentum_sgd(r)) for r in rates], 'eager')
    ensemble = two(.1, 1e38).fit(1, progress=False)
    assert ensemble.failed == {1: "G's fakes became NaN or infinite at iteration 1. Try a smaller learning rate"}
    with pytest.raises(FloatingPointError, match="all members: G's fakes"): two(1e38, 1e38).fit(1, progress=False)


@pytest.mark.parametrize('where', [0, 2])
def test_a_member_that_failed_stands_where_it_would_alone(where):
    def new():
        made = members(3)
        made[where].change(d_rule=momentum_sgd(3e38))
        return made
    ensemble, solo = Ensemble(new(), 'eager').fit(6, progress=False), new()
    with pytest.raises(FloatingPointError) as e: fit(solo.pop(where), 9)
    assert ensemble.failed == {where: str(e.value)}
    ensemble.fit(3, progress=False)
    assert ensemble.failed == {where: str(e.value)}
    lost = ensemble.trainers[where]
    assert f'at iteration {lost.iteration + 1}:' in str(e.value) and len(lost.record) == lost.iteration < 6
    for t, alone in zip([t for t in ensemble.trainers if t is not lost], solo):
        assert t.iteration == len(t.record) == 9 and deviation(t, fit(alone, 9)) < MANY[None]


class _Breaks(type(ring())):
    "Fails at one call, once it is armed"
    left = None
    def __init__(self): vars(self).update(vars(ring()))
    def _draw(self, n, generator):
        if self.left is not None:
            self.left -= 1
            if not self.left: raise OSError('the disk is gone')
        return super()._draw(n, generator)


@pytest.mark.parametrize('n', [2, 5])
def test_members_keep_the_rows_before_an_error_and_go_on_in_step(n):
    data = _Breaks()
    ensemble = Ensemble([make(seed=i, data=data) for i in range(n)], 'eager').fit(4, progress=False)
    data.left = 31*n + 1
    with pytest.raises(OSError, match='the disk is gone'): ensemble.fit(100, progress=False)
    made = [t.iteration for t in ensemble.trainers]
    assert min(made) < 104 and made == [len(t.record) for t in ensemble.trainers]
    ensemble.fit(10, progress=False)
    assert {t.iteration for t in ensemble.trainers} == {max(made) + 10} == {len(t.record) for t in ensemble.trainers}


def test_members_that_were_left_behind_and_moved_since_are_refused():
    data = _Breaks()
    ensemble = Ensemble([make(seed=i, data=data) for i in range(4)], 'eager').fit(4, progress=False)
    data.left = 31*4
    with pytest.raises(OSError): ensemble.fit(100, progress=False)
    last = min(ensemble.trainers, key=lambda t: t.iteration)
    assert last.iteration < max(t.iteration for t in ensemble.trainers)
    fit(last, 500)
    with pytest.raises(ValueError, match='must have the same iteration'): ensemble.fit(10, progress=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there may be a GPU')
def test_members_have_no_cuda_graphs_without_a_gpu():
    ensemble = Ensemble([make(seed=i) for i in range(2)], 'graphed')
    with pytest.raises(ValueError, match='CUDA graphs need a GPU, not cpu'): ensemble.fit(3, progress=False)
    assert {t.iteration for t in ensemble.trainers} == {0}


def test_members_have_the_averages_that_each_has_alone():
    ensemble, solo = Ensemble(members(ema=5.), 'eager').fit(20, progress=False), members(ema=5.)
    for t, alone in zip(ensemble.trainers, solo):
        fit(alone, 20)
        for p, q in zip(t.ema.gan.generator.parameters(), alone.ema.gan.generator.parameters()):
            assert torch.allclose(p, q, atol=1e-5)


cuda = dict(device='cuda')


@pytest.mark.gpu
@pytest.mark.parametrize('engine', ['graphed', 'compiled'])
@pytest.mark.parametrize('kw', [
    dict(), dict(norm='batch', k=3), dict(rule='adam', game='minimax'), dict(data='memory'),
    dict(data='stream', k=3)], ids=str)
def test_gpu_engines_agree_with_eager(engine, kw): agree(engine, **kw, **cuda)


@pytest.mark.gpu
@pytest.mark.parametrize('engine', ['graphed', 'compiled'])
@pytest.mark.parametrize('precision', ['float32', 'tf32'])
def test_gpu_rounds_as_it_was_told(engine, precision):
    "TF32 keeps 10 bits, and float32 stays what it is where the process has set TF32"
    def wide(seed): return lambda: mlp_discriminator(2, (256, 256), seed=seed)
    def one(engine, precision): return fit(make(engine, precision=precision, discriminator=wide(1), **cuda), 1)
    exact = one('eager', 'float32')
    torch.set_float32_matmul_precision(dict(float32='high', tf32='highest')[precision])
    try: apart = deviation(one(engine, precision), exact)
    finally: torch.set_float32_matmul_precision('highest')
    assert (apart > 10*ONE[None]) == (precision == 'tf32')


@pytest.mark.gpu
def test_gpu_that_is_not_the_current_one():
    agree('graphed', device=f'cuda:{torch.cuda.device_count() - 1}')


@pytest.mark.gpu
@pytest.mark.parametrize('data', datas)
@pytest.mark.parametrize('engine', ['graphed', 'compiled'])
def test_gpu_a_run_goes_on_with_another_engine(engine, data):
    whole = fit(make(data=data, k=2, **cuda), 30)
    mixed = passed_on(['eager', engine, 'eager'], data=data, k=2, **cuda)
    assert deviation(whole, mixed) < MANY[None] and same_rng(whole, mixed)
    assert mixed.iteration == len(mixed.history['value']) == 30


@pytest.mark.gpu
@pytest.mark.parametrize('engine', ['graphed', 'compiled'])
def test_gpu_does_not_wait_within_a_block(engine):
    t = make(engine, norm='batch', data='memory', **cuda)
    runs = lib.engine_for(t, engine)
    runs.begin(50)
    torch.cuda.set_sync_debug_mode('error')
    try:
        for _ in range(50): runs.step()
    finally: torch.cuda.set_sync_debug_mode('default')
    said = runs.end()
    assert said.shape == (50, 5) and said.isfinite().all() and t.iteration == 50


@pytest.mark.gpu
@pytest.mark.parametrize('engine', ['eager', 'graphed', 'compiled'])
def test_gpu_ensemble_trains_and_members_differ(engine):
    "By their draws alone: weights and rates are the same at the start"
    same_rate = [make(seed=i, data='memory', **cuda) for i in range(3)]
    first = [p.clone() for p in same_rate[0].gan.parameters()]
    Ensemble(same_rate, engine).fit(50, progress=False)
    for t in same_rate:
        assert len(t.history['value']) == t.iteration == 50
        assert all(v.isfinite().all() for v in held(t).values())
        assert not any(torch.equal(p, q) for p, q in zip(t.gan.parameters(), first))
    assert min(deviation(same_rate[i], same_rate[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-2


# ---- what no program can hold: it is refused, or done as eager does it

p0 = lambda t: next(t.gan.discriminator.parameters())
hooked = {
    'before a step': lambda t: t.d_opt.register_step_pre_hook(lambda *_: None),
    'after a step': lambda t: t.g_opt.register_step_post_hook(lambda *_: None),
    'on a gradient': lambda t: p0(t).register_hook(lambda g: g.clamp(-1e-3, 1e-3)),
    'on an accumulated gradient': lambda t: p0(t).register_post_accumulate_grad_hook(lambda p: None),
    'of a layer': lambda t: t.gan.generator[0].register_forward_hook(lambda m, i, o: 2*o),
    'before a network': lambda t: t.gan.generator.register_forward_pre_hook(lambda m, i: None),
    'backward': lambda t: t.gan.discriminator.register_full_backward_hook(lambda *_: None),
    'a step of its own': lambda t: setattr(t.d_opt, 'step', lambda: None),
    'a d_step of its own': lambda t: setattr(t, 'd_step', functools.partial(Trainer.d_step, t))}


@pytest.mark.parametrize('kind', hooked)
def test_hooks_are_refused_not_dropped(kind, monkeypatch):
    monkeypatch.setattr(lib, 'choose', lambda trainer, iterations: 'recorded')
    for first in (0, 3):   # from the beginning, and after a program was made
        t = fit(make('recorded'), first)
        hooked[kind](t)
        before = held(t)
        with pytest.raises(ValueError, match="only the eager engine calls .*: choose engine='eager'"): fit(t, 3)
        assert all(torch.equal(v, before[k]) for k, v in held(t).items()) and t.iteration == first
    t, eager = make('auto'), make()
    hooked[kind](t); hooked[kind](eager)
    with pytest.warns(UserWarning, match='Training goes on with the eager'): fit(t, 10)
    assert same(t, fit(eager, 10))


def counting():
    n = 0
    def d_loss(real, fake):
        nonlocal n
        n += 1
        return games['minimax'].d_loss(real, fake)*(1 + n)
    return Game(d_loss, games['minimax'].g_loss)


class Annealed:
    "A loss with a weight that changes, or draws"
    def __init__(self, new): self.weight, self.new = 1., new
    def __call__(self, real, fake):
        self.weight = self.new(self.weight)
        return games['minimax'].d_loss(real, fake)*self.weight


class AtIteration(Trainer):
    def d_step(self):
        return tuple(o*(1 + self.iteration) for o in super().d_step())


class Looks(Trainer):
    "Touches its optimiser in a step"
    def d_step(self):
        self.d_opt.state_dict()
        return super().d_step()


class Clips(Trainer):
    def d_step(self):
        said = super().d_step()
        with torch.no_grad():
            for p in self.gan.discriminator.parameters(): p.clamp_(-.01, .01)
        return said


def as_kind(kind, t):
    t.__class__ = kind
    return t


def own(new): return Game(Annealed(new), games['minimax'].g_loss)


moving = {
    'a counter': lambda e: make(e, game=counting()),
    'an attribute': lambda e: make(e, game=own(lambda w: w*.999)),
    "NumPy's numbers": lambda e: make(e, game=own(lambda w: float(np.random.rand()))),
    "Python's numbers": lambda e: make(e, game=own(lambda w: random.random())),
    'the iteration': lambda e: as_kind(AtIteration, make(e)),
    'its optimiser': lambda e: as_kind(Looks, make(e))}


@pytest.mark.parametrize('kind', moving)
def test_what_moves_outside_the_tensors_is_refused(kind, monkeypatch):
    monkeypatch.setattr(lib, 'choose', lambda trainer, iterations: 'recorded')
    t = moving[kind]('recorded')
    before, world = t.state_dict(), (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    with pytest.raises(ValueError, match='only the eager engine can train'): fit(t, 3)
    assert str(t.state_dict()) == str(before)
    assert torch.equal(torch.get_rng_state(), world[0]) and np.random.get_state()[1].tolist() == world[1]
    assert random.getstate() == world[2]
    t = moving[kind]('auto')
    with pytest.warns(UserWarning, match='Training goes on with the eager'): fit(t, 5)
    assert t.iteration == 5


def test_captured_weights_are_refused():
    "No gradient would reach them"
    t = make('recorded')
    mine = p0(t)
    t.change(game=Game(lambda real, fake: games['minimax'].d_loss(real, fake) + mine.square().sum(),
                       games['minimax'].g_loss))
    with pytest.raises(ValueError, match='uses weights past the networks'): fit(t, 3)


def test_what_is_moved_by_a_hook_is_found_by_comparing(tmp_path, monkeypatch):
    "The program holds the first value of what is seen nowhere; a comparison in the course of the run notices"
    (hidden := tmp_path/'weight').write_text('1')
    def loss(real, fake): return games['minimax'].d_loss(real, fake)*float(hidden.read_text())
    def later(t): hidden.write_text('3')
    t = make('recorded', game=Game(loss, games['minimax'].g_loss), hooks=[At(4, later)])
    fit(t, 4)
    a_day_later = SimpleNamespace(monotonic=lambda: time.monotonic() + 86_400)
    monkeypatch.setattr('gan_nbdev.engines.recorded.time', a_day_later)
    before = held(t)
    with pytest.raises(ValueError, match='d_loss is .*, and by the lines .*, at iteration 4'): fit(t, 50)
    assert all(torch.equal(v, before[k]) for k, v in held(t).items()) and t.iteration == 4


def test_the_optimisers_have_the_rates_of_the_last_iteration():
    eager, fast = ([opt.param_groups[0]['lr'] for opt in (t.d_opt, t.g_opt)]
                   for t in (fit(make(engine), 7) for engine in ('eager', 'recorded')))
    assert eager == fast == [linear(0.02, 0.01, 200)(6)]*2


@pytest.mark.parametrize('engine', ['recorded', compiled()])
def test_a_step_that_clips(engine):
    "Writing it down moves no weight; then it clips as by eager"
    t, eager = as_kind(Clips, make(engine)), as_kind(Clips, make())
    before = held(t)
    r = Recorded(t)
    assert all(torch.equal(v, before[k]) for k, v in held(t).items() if k in before)
    for n in (1, 4):
        assert deviation(fit(t, n), fit(eager, n)) < MANY[None]
        assert p0(t).abs().max() <= .01


class Scheduled:
    "A hook: one of torch's own schedulers"
    def __init__(self, t): self.by = torch.optim.lr_scheduler.ExponentialLR(t.d_opt, .5)
    def after_iteration(self, trainer): self.by.step()


@pytest.mark.parametrize('engine', ['recorded', compiled()])
def test_a_rate_changed_by_a_hook_holds_from_the_next_iteration(engine):
    both = []
    for e in ('eager', engine):
        t = make(e, rule=adam(1e-3))
        t.hooks = [Scheduled(t)]
        both.append(fit(fit(t, 3), 7))
    assert deviation(*both) < MANY[None] and both[0].d_opt.param_groups[0]['lr'] == 1e-3*.5**10


@pytest.mark.parametrize('rule', [momentum_sgd, adam])
def test_what_a_schedule_says_since_a_hook_holds_from_the_next_iteration(rule):
    rate, used = {}, []
    class Changes:
        def after_iteration(self, t):
            if t.iteration == 37: rate.update(lr=1e-2)
    def run(engine):
        rate.update(lr=1e-3)
        t = make(engine, rule=rule(lambda t: rate['lr'] if t >= 50 else 1e-3))
        t.hooks = [Changes()]
        fit(t, 60)
        used.append(t.d_opt.param_groups[0]['lr'])
        return t
    assert deviation(run('eager'), run('recorded')) < MANY[None] and used == [1e-2]*2


def test_a_subclass_is_another_kind():
    with pytest.raises(ValueError, match='same kind, but member 0 has Trainer and member 1 Clips'):
        Ensemble([make(), as_kind(Clips, make())])


def test_hooks_of_an_ensembles_members_are_refused():
    for kind in hooked:
        members = [make(), make()]
        hooked[kind](members[0])
        with pytest.raises(ValueError, match="only a trainer's own eager engine calls"):
            Ensemble(members, engine='eager').fit(2, progress=False)


@pytest.mark.parametrize('engine', ['eager', 'recorded'])
def test_double_precision_is_recorded_right(engine):
    class Double(nn.Module):
        def __init__(self): super().__init__(); self.net = mlp_discriminator(2, (16,), seed=1).double()
        def forward(self, x): return self.net(x.double())
    t = fit(make(engine, discriminator=Double), 5)
    assert all(abs(v).max() < 5 for v in t.history.values()) and (t.history['d_real'] <= 1).all()
    assert abs(t.history['value'][0] + 2*np.log(2)) < .5


class Misspelt:
    def after_iterations(self, trainer): pass


@pytest.mark.parametrize('hooks, why', [
    (lambda t: 3, 'hooks must be a list'), (lambda t: EMA(t.gan), 'hooks must be a list'),
    ([print], 'is no hook'), ([EMA], 'EMA is a class'), ([Misspelt()], 'has after_iterations, but'), ([None], 'is no hook')])
def test_what_is_no_hook(hooks, why):
    with pytest.raises(ValueError, match=why) as e: make(hooks=hooks(make()) if callable(hooks) else hooks)
    assert str(e.value).count('\n') == 0
    if isinstance(hooks, list):
        t = make()
        t.hooks.extend(hooks)
        with pytest.raises(ValueError, match=why): fit(t, 1)
        assert t.iteration == 0


def test_a_program_that_does_something_else_is_refused():
    t = make(rule=adam(.05))
    engine = Recorded(t)
    engine.check()
    run, last = engine.run, next(i for i, p in enumerate(engine.params.values()) if p is t.gan.discriminator[-1].weight)
    def all_but_one(*v):
        before = v[last].clone()
        said = run(*v)
        v[last].copy_(before)
        return said
    ways = [all_but_one, run]
    engine.run = lambda *v: ways.pop(0)(*v)
    engine.check()   # once, as where an iteration blows up a rounding, and not from weights a little aside
    assert not ways
    engine.run = all_but_one
    before = copy.deepcopy(t.gan.state_dict())
    with pytest.raises(ValueError, match="the program does not do what the trainer's lines do: .* at iteration 1. Something outside"): engine.check()
    assert all(v.equal(before[k]) for k, v in t.gan.state_dict().items())


@pytest.mark.parametrize('engine', [compiled()])
def test_what_roundings_do_is_no_difference(engine):
    "Where terms cancel in one order of adding and leave a rest in another, RMSprop makes whole steps of the rest"
    rule = dict(name='rmsprop', lr=1e-2)
    critic = experiment('ring', 'points', game=dict(name='wasserstein', clip=.03), k=2, batch_size=32, device='cpu', engine=engine, **{
        'generator.hidden': [16], 'discriminator.hidden': [64, 64, 64], 'd_rule': rule, 'g_rule': rule}).trainer()
    assert np.isfinite(fit(critic, 2).history['d_loss']).all()


def test_a_program_is_the_same_whoever_looks_on():
    "torch copies a gradient that others hold, as a profiler does by chance"
    t, chance, held = make(), random.Random(0), []
    def look(frame, event, arg):
        if event == 'return' and frame.f_code.co_name == '__torch_dispatch__' and chance.random() < .1:
            held.append(arg)
    sys.setprofile(look)
    try: programs = {Recorded(t).program.code for _ in range(8)}
    finally: sys.setprofile(None)
    assert held and len(programs) > 1   # so some were copied, and it is the same program


class Threads:
    def __init__(self): self.seen = set()
    def after_iteration(self, trainer): self.seen.add(torch.get_num_threads())


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('engine', ['eager', 'recorded', compiled().values[0]])
def test_small_networks_have_one_thread(three_threads, engine):
    def seen(**kw):
        t = make(engine, hooks=[Threads()], **kw)
        fit(t, 2)
        assert torch.get_num_threads() == 3
        return t.hooks[0].seen
    def wide(n): return lambda: nn.Sequential(nn.Linear(2, 2000), nn.LeakyReLU(), nn.Linear(2000, n), nn.LeakyReLU(), nn.Linear(n, 1))
    assert seen(threads=2) == {2}
    if engine != 'compiled': assert seen(discriminator=wide(300), k=2) == {1}   # longer than small ones are, but no larger
    assert seen(discriminator=wide(500)) == {3}


def test_a_network_of_convolutions_has_all_threads(three_threads):
    net = lambda: nn.Sequential(nn.Unflatten(1, (1, 2)), nn.Conv1d(1, 4, 2), nn.Flatten(), nn.Linear(4, 1))
    t = make(hooks=[Threads()], discriminator=net)
    fit(t, 1)
    assert t.hooks[0].seen == {3}


def test_threads_are_asked_for_by_a_whole_number():
    with pytest.raises(ValueError, match='threads must be a whole number of at least 1 and at most 1024, not 0'): make(threads=0)
    e = experiment('ring', threads=2, device='cpu')
    assert e.trainer().threads == 2 and any('threads=2' in line for line in e.code())
    assert 'threads' not in experiment('ring').entries


@pytest.mark.parametrize('width, n, threads', [(200, 4, 1), (200, 1, 1), (5000, 4, 3)])
def test_members_train_side_by_side_where_one_thread_is_enough_for_each(three_threads, monkeypatch, width, n, threads):
    seen, both = set(), threading.Barrier(2 if (n, threads) == (4, 1) else 1, timeout=60)
    def run(*args, run=Ensemble._run):
        both.wait()
        seen.add(torch.get_num_threads())
        return run(*args)
    monkeypatch.setattr(Ensemble, '_run', run)
    def wide(seed): return lambda: mlp_discriminator(2, (width, 500), seed=seed)
    Ensemble([make(seed=s, discriminator=wide(s)) for s in range(n)], 'eager').fit(1, progress=False)
    assert seen == {threads} and torch.get_num_threads() == 3


@pytest.mark.parametrize('rule, hooked', [(Rule(torch.optim.Adam, lr=1e-3, amsgrad=True), False), (adam(), True)], ids=['rule', 'hook'])
def test_an_ensemble_asks_for_no_engine_that_it_does_not_have(rule, hooked):
    def member(i):
        gan = GAN(mlp_generator(2, 2, (8,), seed=i), mlp_discriminator(2, (8,), seed=9 + i), normal(2))
        if hooked: gan.generator[0].register_forward_hook(lambda m, x, y: 1.1*y)
        return Trainer(gan, ring(), batch_size=16, seed=i, engine='eager', device='cpu', d_rule=rule)
    with pytest.raises(ValueError, match="^only a trainer's own eager engine .*: train the members one by one$") as e: Ensemble([member(0), member(1)], engine='eager').fit(1, progress=False)
    assert 'choose' not in str(e.value)
