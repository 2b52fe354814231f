"Every game against a loop written by hand, in every engine, and what a game may ask for"
import re
from copy import deepcopy
from functools import partial

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from gan_nbdev.all import (GAN, Ensemble, Reconstruction, Trainer, adam, experiment, mlp, mlp_discriminator, mlp_generator,
                           momentum_sgd, normal, ring)
from gan_nbdev.algorithm import momentum_sgd, orders
from gan_nbdev.engines.checkpoints import settings_of, versions, write_checkpoint
from gan_nbdev.engines.choice import engines
from gan_nbdev.engines.parts import describe
from gan_nbdev.engines.recorded import Recorded
from gan_nbdev.games.game import Game, recorded
from gan_nbdev.games.least_squares import least_squares
from gan_nbdev.games.r3gan import steepness
from gan_nbdev.games.relativistic import d_loss_averaged, d_loss_paired, g_loss_averaged, g_loss_paired
from gan_nbdev.games.table import games, make_game
from gan_nbdev.games.wgan_gp import wgan_gp

m = 32

def gan(hidden=(24, 24), seed=0, **kw):
    return GAN(mlp_generator(2, 2, hidden, seed=seed), mlp_discriminator(2, hidden, seed=seed + 1, **kw), normal(2))

def make(game, engine='eager', of=None, **kw):
    t = Trainer(of or gan(), ring(), game, batch_size=m, engine='eager' if engine == 'recorded' else engine, **kw)
    t.engine = engine
    return t

@pytest.fixture(autouse=True)
def recorded_by_name(monkeypatch):
    monkeypatch.setitem(engines, 'recorded', Recorded)

def test_a_game_is_compared_with_anything():
    assert make_game('dragan') == make_game('dragan') != make_game('wgan-gp') and games['minimax'] == tuple(games['minimax'])
    for o in ('minimax', None, 1, ()): assert games['minimax'] != o != make_game('dragan')

# ---- the losses once more, by hand; D is a function of items, rng as the trainer's

def slope(D, v):
    v = v.detach().requires_grad_()
    return torch.autograd.grad(D(v).sum(), v, create_graph=True)[0]

def between(D, x, fakes, rng):
    u = torch.rand(len(x), 1, generator=rng)
    return 10*((slope(D, u*x + (1 - u)*fakes).square().sum(1).sqrt() - 1)**2).mean()

def around(D, x, rng):
    v = x + .5*x.std(unbiased=False)*torch.randn(x.shape, generator=rng)
    return 10*((slope(D, v).square().sum(1).sqrt() - 1)**2).mean()

def ce(logits, label): return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

def by_hand(name):
    "D's loss of (D, x, fakes, rng) and G's of (D, fakes, x)"
    def paper(D, x, f, rng): return ce(D(x), 1.) + ce(D(f), 0.)
    def critic(D, x, f, rng): return D(f).mean() - D(x).mean()
    def fool(D, f, x): return -D(f).mean()
    def strong(D, f, x): return ce(D(f), 1.)
    def paired(D, x, f, rng): return F.softplus(D(f) - D(x)).mean()
    def paired_g(D, f, x): return F.softplus(D(x) - D(f)).mean()
    return {
        'non-saturating': (paper, strong),
        'minimax': (paper, lambda D, f, x: -ce(D(f), 0.)),
        'least-squares': (lambda D, x, f, rng: ((D(x) - 1)**2).mean()/2 + (D(f)**2).mean()/2,
                          lambda D, f, x: ((D(f) - 1)**2).mean()/2),
        'wasserstein': (critic, fool),
        'wgan-gp': (lambda D, x, f, rng: critic(D, x, f, rng) + between(D, x, f, rng), fool),
        'hinge': (lambda D, x, f, rng: F.relu(1 - D(x)).mean() + F.relu(1 + D(f)).mean(), fool),
        'relativistic': (paired, paired_g),
        'r3gan': (lambda D, x, f, rng: paired(D, x, f, rng) + .05*slope(D, x).square().sum(1).mean()
                  + .05*slope(D, f).square().sum(1).mean(), paired_g),
        'dragan': (lambda D, x, f, rng: paper(D, x, f, rng) + around(D, x, rng), strong),
        'began': (lambda D, x, f, rng: D(x).mean() - D.balance*D(f).mean(), lambda D, f, x: D(f).mean()),
        # the activations and conjugates of f-GAN's tables, Jeffreys with T = 1 + v − exp(−v)
        'kl': bound(lambda v: v, lambda t: (t - 1).exp()),
        'reverse-kl': bound(lambda v: -(-v).exp(), lambda t: -1 - (-t).log()),
        'jeffreys': bound(lambda v: 1 + v - (-v).exp(), None, lambda v: v.exp() + v - 1),
        'pearson': bound(lambda v: v, lambda t: t**2/4 + t),
        'hellinger': bound(lambda v: 1 - (-v).exp(), lambda t: t/(1 - t))}[name]

def bound(T, conjugate, of_v=None):
    "The two losses of a variational bound: E[T(x)] − E[f*(T(G(z)))]"
    of_v = of_v or (lambda v: conjugate(T(v)))
    return (lambda D, x, f, rng: of_v(D(f)).mean() - T(D(x)).mean(), lambda D, f, x: -of_v(D(f)).mean())

def draws(t):
    "What this iteration will draw, by a generator in the same state"
    rng = torch.Generator(); rng.set_state(t.rng.get_state())
    return rng

def one_by_hand(name, t, clip=0.01):
    "The networks after the iteration that is to come, by plain torch"
    d_hand, g_hand = by_hand(name)
    G, D = deepcopy(t.gan.generator), deepcopy(t.gan.discriminator)
    opts = []
    for net, rule, opt in ((D, t.d_rule, t.d_opt), (G, t.g_rule, t.g_opt)):
        opts.append(rule.start(net.parameters()))
        opts[-1].load_state_dict(deepcopy(opt.state_dict()))
    def judge(v): return D(v).view(len(v))
    judge.balance = getattr(D, 'balance', None)
    rng, data = draws(t), t.data
    z = t.gan.noise.sample(m, rng); x = data.sample(m, rng)
    with torch.no_grad(): ahead = .5*judge(x).mean() - judge(G(z)).mean()
    def after_d():
        with torch.no_grad():
            if name == 'wasserstein':
                for p in D.parameters(): p.clamp_(-clip, clip)
            if name == 'began': D.balance.add_(.001*ahead).clamp_(0, 1)
    def gradient(opt, loss):
        opt.zero_grad()
        for p, g in zip(ps := opt.param_groups[0]['params'], torch.autograd.grad(loss, ps)): p.grad = g
    gradient(opts[0], d_hand(judge, x, G(z).detach(), rng))
    if t.order == 'simultaneous':
        gradient(opts[1], g_hand(judge, G(z), x))
        for opt in opts: opt.step()
        after_d()
    else:
        opts[0].step()
        after_d()
        z = t.gan.noise.sample(m, rng)
        x = data.sample(m, rng) if name in ('relativistic', 'r3gan') else None
        gradient(opts[1], g_hand(judge, G(z), x))
        opts[1].step()
    return [v for net in (G, D) for v in net.state_dict().values()]

def weights(t): return [v.clone() for net in (t.gan.generator, t.gan.discriminator) for v in net.state_dict().values()]

def furthest(a, b): return max((u - v).abs().max().item() for u, v in zip(a, b))

# What is compiled is the program that the recorded engine runs for every game; these are of every kind: weights
# clipped, a gradient of D between drawn points, one with real items in G's loss, a number of D's own, exp.
compiled = ['wasserstein', 'wgan-gp', 'r3gan', 'began', 'hellinger']

@pytest.mark.parametrize('name, engine, order', [
    *[(name, engine, order) for name in games for engine in ('eager', 'recorded') for order in orders],
    *[(name, 'compiled', 'alternating') for name in compiled]])
def test_each_step_is_the_one_by_hand(name, engine, order):
    "Eight iterations, each from the same state, with Adam or momentum for D and momentum for G"
    # Where only differences of D's answers count, some gradients cancel but for rounding, by which
    # Adam would divide
    d_rule = adam(2e-3) if name in ('non-saturating', 'minimax', 'least-squares') else momentum_sgd(.002)
    of = GAN(mlp_generator(2, 2, (24, 24), seed=0), Reconstruction(mlp(2, 2, (24, 24), seed=1)), normal(2))
    t = make(name, engine, of if name == 'began' else None, d_rule=d_rule, g_rule=momentum_sgd(.02), order=order)
    for _ in range(8):
        wanted, before = one_by_hand(name, t), weights(t)
        t.fit(1, progress=False)
        assert furthest(weights(t), wanted) <= 1e-5
        assert furthest(weights(t), before) > 0   # it moved

@pytest.mark.parametrize('name, order', [*[(name, 'alternating') for name in games], ('r3gan', 'simultaneous')])
def test_every_game_is_the_same_in_every_engine(name, order):
    "Six iterations; an ensemble of two has what each has alone"
    kw = dict(d_rule=momentum_sgd(.02), g_rule=momentum_sgd(.02), order=order)
    def of(): return None if name != 'began' else experiment('ring', game='began').gan()
    runs = {e: make(name, e, of(), **kw).fit(6, progress=False) for e in ('eager', 'recorded')}
    a, b = (weights(t) for t in runs.values())
    assert furthest(a, b) <= 1e-5
    two = [make(name, of=of(), **kw) for _ in range(2)]
    Ensemble(two, 'eager').fit(6, progress=False)
    assert furthest(weights(two[1]), a) <= 1e-5
    tables = [t.history for t in (*runs.values(), two[0])]
    assert {*map(tuple, tables)} == {recorded(games[name])}
    for k in tables[0]:
        for o in tables[1:]: np.testing.assert_allclose(o[k], tables[0][k], atol=1e-4, rtol=1e-4)

def test_torch_has_nothing_to_say_about_an_ensemble(capfd):
    two = [experiment('ring', game='began', seed=i, device='cpu').trainer() for i in range(2)]
    capfd.readouterr()
    Ensemble(two, 'eager').fit(2, progress=False)
    assert capfd.readouterr().err == ''

def test_noise_of_many_sizes_is_the_same_in_every_engine():
    def of(engine): return Trainer(gan(), ring(), batch_size=m, game=make_game(noise=.4, noise_varied=True), engine=engine, device='cpu',
                                   d_rule=momentum_sgd(.02), g_rule=momentum_sgd(.02))
    runs = [of(e).fit(6, progress=False) for e in ('eager', 'recorded', 'compiled')]
    two = [of('eager') for _ in range(2)]
    Ensemble(two, 'eager').fit(6, progress=False)
    assert all(furthest(weights(t), weights(runs[0])) <= 1e-5 for t in (*runs, two[1]))
    plain = Trainer(gan(), ring(), batch_size=m, game=make_game(noise=.4), device='cpu', d_rule=momentum_sgd(.02), g_rule=momentum_sgd(.02))
    assert furthest(weights(plain.fit(6, progress=False)), weights(runs[0])) > 1e-3

def test_both_players_at_once_see_the_same_fakes_and_masks():
    t = Trainer(gan(dropout=.5), ring(), batch_size=m, order='simultaneous', d_rule=momentum_sgd(1e-9), g_rule=momentum_sgd(1e-9))
    passes = []
    t.gan.discriminator.register_forward_hook(lambda *a: passes.append(a))
    for _ in range(3): t.step()
    d_loss, g_loss, real, fake = t.step()
    assert len(passes) == 4 and g_loss.item() == pytest.approx(ce(fake, 1.).item(), rel=1e-6)
    assert d_loss.item() == pytest.approx((ce(real, 1.) + ce(fake, 0.)).item(), rel=1e-6)

def test_figures_that_ask_first_leave_g_its_gradient():
    def apart(x, fakes, D): return D(fakes).mean() - D(x).mean()
    plain = Game(apart, lambda fake: -fake.mean(), g_terms=dict(size=lambda fakes: .1*fakes.square().mean()), shows=())
    ts = [make(plain._replace(figures=figures), order='simultaneous', g_rule=momentum_sgd(.1)).fit(3, progress=False)
          for figures in ({}, dict(distance=lambda real, fake: real.mean() - fake.mean()))]
    assert furthest(*map(weights, ts)) == 0

@pytest.mark.parametrize('order', orders)
@pytest.mark.parametrize('who', ['generator', 'discriminator'])
def test_a_player_of_frozen_weights_cannot_move(order, who):
    t = make('minimax', order=order)
    getattr(t.gan, who).requires_grad_(False)
    with pytest.raises(ValueError, match='or are all weights frozen') as e: t.fit(1, progress=False)
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('set', [lambda t: t.change(k=2), lambda t: setattr(t, 'k_g', 3), lambda t: setattr(t, 'accumulate', 2)])
def test_both_players_at_once_move_once(set):
    t = make('minimax', order='simultaneous')
    with pytest.raises(ValueError, match=r'must be 1 where both players move at once \(order simultaneous\), not [23]'): set(t)
    assert (t.k, t.k_g, t.accumulate) == (1, 1, 1)
    t.order = 'alternating'
    set(t)
    with pytest.raises(ValueError, match='must be 1 where both players'): t.order = 'simultaneous'

def test_the_order_is_part_of_the_description(tmp_path):
    e = experiment('ring', order='simultaneous', steps=20, device='cpu')
    assert describe(e.trainer())['order'] == e['order'] == 'simultaneous' and "order='simultaneous'" in e.code()[-2]
    assert experiment('ring')['order'] == 'alternating' and 'order' not in experiment('ring').entries
    with pytest.raises(ValueError, match='k must be 1 where'): e.changed({'k': 2})
    t = e.trainer().fit(4, progress=False)
    t.save(tmp_path/'x')
    assert e.trainer().load(tmp_path/'x').iteration == 4
    other = experiment('ring', steps=20, device='cpu').trainer()
    with pytest.raises(ValueError, match="order differs: 'simultaneous' in the checkpoint, 'alternating' here"): other.load(tmp_path/'x')
    older = {k: v for k, v in settings_of(other).items() if k != 'order'}   # of before there was a choice
    write_checkpoint(tmp_path/'y', other.fit(3, progress=False).state_dict(), settings=older, versions=versions(), iteration=3, notes=None)
    assert experiment('ring', steps=20, device='cpu').trainer().load(tmp_path/'y').iteration == 3
    with pytest.raises(ValueError, match="order differs: 'alternating'"): e.trainer().load(tmp_path/'y')

def test_relativistic_losses_by_hand():
    real, fake = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    def worse(a, b): return F.softplus(b - a).mean()   # −log σ(a − b)
    def both(a, b): return worse(a, b.mean()) + worse(a.mean(), b)
    for f, want in ((d_loss_paired, worse(real, fake)), (g_loss_paired, worse(fake, real)),
                    (d_loss_averaged, both(real, fake)), (g_loss_averaged, both(fake, real))):
        assert f(real, fake).item() == pytest.approx(want.item(), rel=1e-6)
    game = make_game('relativistic', averaged=True)
    assert (game.d_loss, game.g_loss) == (d_loss_averaged, g_loss_averaged)

def test_the_slope_of_a_known_d():
    w = torch.tensor([3., 4.])
    assert steepness(lambda v: v@w, torch.randn(7, 2)).item() == pytest.approx(25.)

def test_began_begins_with_the_balance_of_its_description():
    e = experiment('ring', game='began', **{'discriminator.balance': .5, 'generator.hidden': [8], 'discriminator.hidden': [8]})
    t = e.trainer()
    assert t.gan.discriminator.balance == .5
    t.fit(3, progress=False)
    assert t.gan.discriminator.balance != .5 and describe(t)['discriminator'] == e['discriminator']
    with pytest.raises(ValueError, match=r'discriminator.balance must be a number in \[0, 1\], not 2'):
        e.changed({'discriminator.balance': 2})
    with pytest.raises(ValueError, match="unknown entry 'discriminator.balance'"): experiment('ring', **{'discriminator.balance': .5})

# ---- games that nobody has written yet

in_d = ['F.softplus(-real).mean()', 'F.softplus(fake).mean()', '((real - fake)**2).mean()/4', '(1 - real).relu().mean()',
        'D(x + torch.randn(x.shape, generator=rng)).tanh().mean()', 'D(torch.rand(1, generator=rng)*x).square().mean()/4',
        'slope(D, x).square().mean()/10', '-(D(G(z)) - fake.mean()).tanh().mean()', '(z.mean(1)*fake).mean()',
        'real.mean()*(iteration % 3)/2', 'sum(p.square().sum() for p in discriminator.parameters())/100']
in_g = ['F.softplus(-fake).mean()', '-fake.tanh().mean()', '(real.detach() - fake).exp().mean()/10', 'fakes.square().mean()',
        '(x.mean(0) - fakes.mean(0)).abs().sum()', '-(fakes - G(-z)).abs().mean()', '(torch.rand(1, generator=rng)*fake).mean()',
        'fake.std()*(iteration % 2)', 'sum(p.square().sum() for p in generator.parameters())/100']
names = 'real fake x fakes z D G discriminator generator rng iteration'.split()

def made_of(pieces):
    "A function of what the pieces ask for"
    total = ' + '.join(pieces)
    asked = [k for k in names if re.search(rf'\b{k}\b', total)]
    return eval(f'lambda {", ".join(asked)}: {total}', globals())

@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(st.lists(st.sampled_from(in_d), min_size=1, max_size=3, unique=True),
                  st.lists(st.sampled_from(in_g), min_size=1, max_size=3, unique=True),
                  st.lists(st.sampled_from(in_d), max_size=1), st.lists(st.sampled_from(in_g), max_size=1),
                  st.integers(1, 2), st.integers(1, 2))
def test_any_game_is_the_same_in_every_engine(d, g, d_term, g_term, k, k_g):
    "Sums of losses, with a term of each player's at times: three iterations and what is recorded of them"
    def terms(who, of): return {f'{who}_term': made_of(of)} if of else {}
    game = Game(made_of(d), made_of(g), d_terms=terms('d', d_term), g_terms=terms('g', g_term))
    def start(engine): return make(game, engine, gan((8,)), k=k, k_g=k_g, d_rule=momentum_sgd(.01), g_rule=momentum_sgd(.01))
    eager, fast, two = start('eager').fit(3, progress=False), start('recorded').fit(3, progress=False), [start('eager'), start('eager')]
    Ensemble(two, 'eager').fit(3, progress=False)
    for t in (fast, two[1]):
        assert furthest(weights(t), weights(eager)) <= 1e-5
        assert torch.equal(t.rng.get_state(), eager.rng.get_state())
        for name, v in eager.history.items(): np.testing.assert_allclose(t.history[name], v, atol=1e-4, rtol=1e-4)

# ---- what a game may ask for

def test_a_game_by_hand_is_the_built_in_one_to_the_bit():
    def d_loss(real, fake, x, fakes, D, rng):
        u = torch.rand(len(x), 1, generator=rng, device=x.device)
        v = (u*x + (1 - u)*fakes).detach().requires_grad_()
        g, = torch.autograd.grad(D(v).sum(), v, create_graph=True)
        return fake.mean() - real.mean() + 10*((g.norm(dim=1) - 1)**2).mean()
    mine = make(Game(d_loss, lambda fake: -fake.mean(), shows=())).fit(20, progress=False)
    ours = make('wgan-gp').fit(20, progress=False)
    assert furthest(weights(mine), weights(ours)) == 0

def test_the_iteration_is_the_same_in_every_engine():
    def d_loss(real, fake, iteration): return games['minimax'].d_loss(real, fake)*(1 + iteration % 4)
    game = Game(d_loss, games['minimax'].g_loss)
    runs = [make(game, e, d_rule=momentum_sgd(.02), g_rule=momentum_sgd(.02)) for e in ('eager', 'recorded')]
    for t in runs: t.iteration = 2**24 + 1   # where float32 would lose it
    told = [t.fit(3, progress=False).history['d_loss'] for t in runs]
    np.testing.assert_allclose(told[1], told[0], rtol=1e-6)
    assert told[0][2] > 1.5*told[0][0]   # times 2, 3 and 4

def test_a_branch_on_the_iteration_is_for_the_eager_engine():
    def d_loss(real, fake, iteration):
        return games['minimax'].d_loss(real, fake)*(2 if iteration > 2 else 1)
    game = Game(d_loss, games['minimax'].g_loss)
    with pytest.raises(ValueError, match='only the eager engine'): make(game, 'recorded').fit(3, progress=False)
    told = make(game).fit(4, progress=False).history
    assert told['d_loss'][3] > 1.5*told['d_loss'][2]

def test_terms_and_figures_are_recorded_under_their_names():
    game = games['minimax'].with_(d_terms=dict(small=lambda real: real.square().mean()),
                                  figures=dict(gap=lambda real, fake: real.mean() - fake.mean()))
    t = make(game).fit(5, progress=False)
    assert list(t.history) == ['d_loss', 'g_loss', 'value', 'd_real', 'd_fake', 'small', 'gap']
    np.testing.assert_allclose(t.history['d_loss'], -t.history['value'] + t.history['small'], rtol=1e-5)
    assert (t.history['small'] >= 0).all() and np.isfinite(t.history['gap']).all()

def test_a_term_may_be_called_loss():
    a, b = (make(games['minimax'].with_(d_terms={k: lambda real: .1*real.square().mean()})).fit(3, progress=False).history for k in ('loss', 'small'))
    assert np.array_equal(a.pop('loss'), b.pop('small')) and all(np.array_equal(a[k], b[k]) for k in a)

def test_a_game_that_changes_widens_the_record_and_loses_nothing():
    t = make('minimax').fit(3, progress=False)
    before = t.history
    t.change(game='wgan-gp').fit(2, progress=False)
    assert np.isnan(t.history['penalty'][:3]).all() and np.isfinite(t.history['penalty'][3:]).all()
    assert np.isnan(t.history['value'][3:]).all()
    for k, v in before.items(): np.testing.assert_array_equal(t.history[k][:3], v)
    again = make('wgan-gp')
    again.load_state_dict(t.state_dict())
    assert list(again.history) == list(t.history)

def test_what_is_logged_is_in_the_record():
    class Norm:
        def after_iteration(self, trainer):
            if trainer.iteration % 2 == 0: trainer.log('norm', trainer.gan.discriminator[0].weight.norm())
        def after_block(self, trainer): trainer.log('blocks', 1)
    for engine in ('eager', 'recorded'):
        t = make('minimax', engine, hooks=[Norm()]).fit(6, progress=False)
        norm = t.history['norm']
        assert np.isfinite(norm[1::2]).all() and np.isnan(norm[::2]).all()
        assert t.history['blocks'][-1] == 1
        for k in ('d_loss', 'iteration'):   # the latter in a run's file
            with pytest.raises(ValueError, match=f"'{k}' is a column of the record already"): t.log(k, 1)

def test_a_step_that_logs_is_for_the_eager_engine():
    class Telling(Trainer):
        def d_step(self):
            self.log('turn', self.iteration)
            return super().d_step()
    t = Telling(gan(), ring(), batch_size=m, engine='eager').fit(4, progress=False)
    assert t.history['turn'].tolist() == [0, 1, 2, 3]
    t.engine = 'recorded'
    with pytest.raises(ValueError, match='a step that logs is carried out by the eager engine only'):
        t.fit(2, progress=False)
    assert t.iteration == 4

# ---- settings

def test_weights_and_gradients_are_clipped_in_every_engine():
    rule = dict(d_rule=momentum_sgd(.5, clip_weights=.03), g_rule=momentum_sgd(.5, momentum=0., clip_gradient=.01))
    for engine in ('eager', 'recorded', 'compiled'):
        t = make('minimax', engine, **rule)
        before = [p.detach().clone() for p in t.gan.generator.parameters()]
        t.fit(1, progress=False)
        assert max(p.abs().max().item() for p in t.gan.discriminator.parameters()) == pytest.approx(.03)
        moved = torch.cat([(p - q).flatten() for p, q in zip(t.gan.generator.parameters(), before)]).norm()
        assert moved.item() <= .005*1.001
    with pytest.raises(ValueError, match='clip_weights must be a number above 0, not -1'): adam(clip_weights=-1)

S = torch.optim.lr_scheduler

class Decay(S.LRScheduler):
    "One's own, which moves more than the rate, and later"
    def get_lr(self):
        for g in self.optimizer.param_groups: g['weight_decay'] = .1*(self.last_epoch > 6)
        return [g['lr'] for g in self.optimizer.param_groups]

schedulers = dict(cosine=lambda o: S.CosineAnnealingLR(o, 10), cycle=lambda o: S.OneCycleLR(o, .1, total_steps=40), own=Decay,
                  again=lambda o: S.CosineAnnealingWarmRestarts(o, 4), both=lambda o: S.ChainedScheduler([S.ConstantLR(o, .5, 4), S.ExponentialLR(o, .9)]),
                  then=lambda o: S.SequentialLR(o, [S.LinearLR(o, .1, total_iters=5), S.ExponentialLR(o, .9)], [5]),
                  later=lambda o: S.SequentialLR(o, [S.LinearLR(o, .1, total_iters=5), S.OneCycleLR(o, .1, total_steps=40, max_momentum=.5)], [5]))

@pytest.mark.parametrize('name', schedulers)
def test_torchs_schedulers_set_what_torch_would_set(name):
    t = make('minimax', d_rule=momentum_sgd(.1, scheduler=lambda o: schedulers[name](o)))
    p = nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=.1, momentum=.5)
    theirs = schedulers[name](opt)
    for _ in range(12):
        want = {k: opt.param_groups[0][k] for k in ('lr', 'momentum', 'weight_decay')}
        t.fit(1, progress=False)
        assert {k: t.d_opt.param_groups[0][k] for k in want} == pytest.approx(want)
        opt.step(); theirs.step()

def test_a_scheduler_that_looks_at_the_run_is_refused():
    with pytest.raises(ValueError, match='depends on the step alone, not ReduceLROnPlateau'): adam(scheduler=S.ReduceLROnPlateau)

@pytest.mark.parametrize('together', [False, True])
def test_a_scheduler_that_ends_before_the_run_is_refused_before_it(together):
    rule = momentum_sgd(.1, scheduler=lambda o: S.OneCycleLR(o, .1, total_steps=5))
    for n, fits in ((6, True), (7, False)):
        t, *others = (make('minimax', of=gan(seed=i), g_rule=rule) for i in range(2))
        run = Ensemble([t, *others], 'eager') if together else t
        if fits: run.fit(n, progress=False); continue
        with pytest.raises(ValueError, match=r'OneCycleLR\(.* ends before iteration 6: '): run.fit(n, progress=False)
        assert t.iteration == 0

def test_a_run_with_a_scheduler_goes_on_and_another_scheduler_is_told_apart(tmp_path):
    def new(name): return make('minimax', d_rule=momentum_sgd(.1, scheduler=lambda o: schedulers[name](o)))
    whole = new('again').fit(9, progress=False)
    new('again').fit(5, progress=False).save(tmp_path/'run')
    t = new('again').load(tmp_path/'run').fit(4, progress=False)
    assert all(map(torch.equal, whole.gan.parameters(), t.gan.parameters()))
    new('then').save(tmp_path/'run')
    with pytest.raises(ValueError, match='d_rule.* differs.*OneCycleLR'): new('later').load(tmp_path/'run')

def test_what_a_game_would_learn_and_no_rule_moves_is_refused():
    class Weighted(nn.Module):
        def __init__(self): super().__init__(); self.w = nn.Parameter(torch.ones(()))
        def forward(self, real, fake): return self.w*games['minimax'].d_loss(real, fake)
    loss = Weighted()
    with pytest.raises(ValueError, match="neither player's rule trains w of the game's Weighted: make it a part of D or of G, or freeze it"):
        make(Game(loss, games['minimax'].g_loss))
    with pytest.raises(ValueError, match="trains w of the game's Weighted"): make('minimax').change(game=Game(loss.forward, games['minimax'].g_loss))
    with pytest.raises(ValueError, match="trains w of the game's Weighted"): make(Game(partial(loss), games['minimax'].g_loss))
    make(Game(loss.requires_grad_(False), games['minimax'].g_loss)).fit(1, progress=False)
    class Judge(nn.Module):
        def __init__(self): super().__init__(); self.net, self.loss = mlp_discriminator(2, (8,)), Weighted()
        def forward(self, x): return self.net(x)
    D = Judge()
    make(Game(D.loss, games['minimax'].g_loss), of=GAN(mlp_generator(2, 2, (8,)), D, normal(2)), d_rule=momentum_sgd(.1)).fit(1, progress=False)
    assert D.loss.w.item() != 1

def test_accumulated_gradients_are_those_of_the_whole_minibatch():
    class Fixed:   # the same rows for one large minibatch and for four small ones
        def __init__(self, x, m): self.x, self.m, self.i, self.generator = x, m, 0, None
        def next(self):
            self.i += 1
            return self.x[(self.i - 1)*self.m:][:self.m]
        def state_dict(self): return {}
        def load_state_dict(self, s): pass
    x, z = torch.randn(4*m, 2), torch.randn(4*m, 2)
    def moved(accumulate):
        t = make('minimax', d_rule=momentum_sgd(.1), g_rule=momentum_sgd(.1), accumulate=accumulate)
        t.source = Fixed(x, 4*m//accumulate)
        at = [0]
        def noise(n, rng):
            at[0] += n
            return z[at[0] - n:at[0]]
        t.batch_size, t.gan.draw_noise = 4*m//accumulate, noise
        t.d_step()
        return weights(t)
    assert furthest(moved(1), moved(4)) < 1e-6

def test_the_average_makes_the_samples():
    t = make('minimax', ema=5).fit(20, progress=False)
    assert not torch.equal(t.sample(10), t.sample(10, of=t.gan))
    assert torch.equal(t.sample(10), t.sample(10, of=t.ema)) and torch.equal(t.sample(10), t.sample(10, of=t.ema.gan))
    again = make('minimax', ema=5)
    again.load_state_dict(t.state_dict())
    assert torch.equal(again.sample(10), t.sample(10))
    with pytest.raises(ValueError, match='ema must be a number above 0, not 0'): make('minimax', ema=0)

@pytest.mark.parametrize('engine', ['eager', 'recorded', 'compiled'])
@pytest.mark.parametrize('k', [1, 2])
def test_what_is_recorded_of_accumulated_minibatches_is_of_all(engine, k):
    h = make('minimax', engine, accumulate=3, k=k).fit(8, progress=False).history
    np.testing.assert_allclose(h['d_loss'], -np.array(h['value']), atol=2e-6)

# ---- what would not move, or mix

def not_of_g(real, fake): return -F.logsigmoid(real).mean()   # a slip: it has fake, and does not use it

@pytest.mark.parametrize('order', orders)
@pytest.mark.parametrize('g_loss', [lambda real: -real.mean(), not_of_g])
def test_a_loss_of_g_that_has_nothing_of_g_is_refused(g_loss, order):
    t = make((games['minimax'].d_loss, g_loss), order=order)
    with pytest.raises(ValueError, match='a loss must depend on the weights of who moves'): t.fit(1, progress=False)

@pytest.mark.parametrize('order', orders)
def test_what_reaches_g_by_its_fakes_in_place_of_x_does(order):
    "A mixture of items has some of G in it"
    game = Game(games['minimax'].d_loss, lambda real: -F.logsigmoid(real).mean(), g_before=(lambda x, fakes: dict(x=(x + fakes)/2),))
    t = make(game, order=order)
    before = [p.clone() for p in t.gan.generator.parameters()]
    t.fit(1, progress=False)
    assert all(not torch.equal(p, q) for p, q in zip(before, t.gan.generator.parameters()))

@pytest.mark.parametrize('game', ['wgan-gp', 'dragan', 'r3gan', dict(name='minimax', r1=.1), dict(name='minimax', r2=.1)], ids=str)
def test_a_price_on_slopes_refuses_batch_norm(game):
    game = make_game(**game) if isinstance(game, dict) else game
    with pytest.raises(ValueError, match='BatchNorm1d must go'): make(game, of=gan(norm='batch'))
    layers = GAN(mlp_generator(2, 2, (8,), norm='batch'), nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 1)), normal(2))
    make(game, of=layers).fit(1, progress=False)

@pytest.mark.parametrize('name', sorted({*games} - {'began'}))
@pytest.mark.parametrize('logits, said', [(torch.zeros(0), 'at least one value'), ([0.], 'must be a tensor')])
def test_a_loss_refuses_what_are_no_logits(name, logits, said):
    with pytest.raises(ValueError, match=said): games[name].d_loss(logits, logits)

def test_a_whole_number_is_the_number():
    for a, b in ((wgan_gp(), wgan_gp(10)), (least_squares(), least_squares(0, 1, np.float32(1)))):
        assert a == b and repr(a) == repr(b) and describe(make(a)) == describe(make(b))

# ---- D by mistake

def test_a_d_that_ends_in_a_sigmoid_is_named_before_the_run():
    bad = GAN(mlp_generator(2, 2, (8,)), nn.Sequential(mlp_discriminator(2, (8,)), nn.Sigmoid()), normal(2))
    with pytest.warns(UserWarning, match='seems to end in a sigmoid'): make('minimax', of=bad).fit(1, progress=False)
    from gan_nbdev.metrics import diagnose
    with pytest.warns(UserWarning): t = make('minimax', of=deepcopy(bad)).fit(150, progress=False)
    assert 'or it ends in a sigmoid' in diagnose(t.history)[0]

def test_a_d_that_is_that_far_on_average_only_is_not_told_apart():
    "Single answers leave [0, 1], but the record has means"
    from gan_nbdev.metrics import diagnose
    assert 'learns next to nothing, or it ends in a sigmoid' in diagnose(dict(value=np.full(200, -1.38), d_real=np.full(200, .62), d_fake=np.full(200, .59)))[0]

@pytest.mark.parametrize('small', [False, True])
def test_no_such_word_of_an_honest_d(recwarn, small):
    from gan_nbdev.metrics import diagnose
    for seed in range(5):
        of = gan(seed=seed)
        if small:   # as in the paper: D's answers stay near a half for long, and on the same side of it
            of.discriminator = mlp_discriminator(2, (24, 24), 'maxout', init=.005, seed=seed)
        t = make('minimax', of=of, d_rule=momentum_sgd(1e-3)).fit(150, progress=False)
        assert 'sigmoid' not in diagnose(t.history)[0]
    assert not [w for w in recwarn if 'sigmoid' in str(w.message)]

def test_a_critic_is_not_judged_as_a_classifier():
    from gan_nbdev.metrics import diagnose
    said = diagnose(make('wasserstein').fit(150, progress=False).history)[0]
    assert 'no probabilities' in said and 'equilibrium' not in said and 'coin' not in said

def test_axes_out_of_order_are_refused():
    from gan_nbdev.all import Samples
    G = nn.Sequential(mlp_generator(2, 48, (8,)), nn.Unflatten(1, (3, 4, 4)))
    D = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(36, 1))
    pictures = torch.rand(20, 4, 4, 3)
    with pytest.raises(ValueError, match=r'items of shape \(3, 4, 4\), but those of samples have \(4, 4, 3\)'):
        Trainer(GAN(G, D, normal(2)), Samples(pictures, 'unit'), batch_size=4)
    Trainer(GAN(G, D, normal(2)), Samples(pictures.permute(0, 3, 1, 2), 'unit'), batch_size=4).fit(2, progress=False)
    one = torch.rand(20, 4, 4)   # an axis of one says nothing
    G = nn.Sequential(mlp_generator(2, 16, (8,)), nn.Unflatten(1, (1, 4, 4)))
    D = nn.Sequential(nn.Conv2d(1, 4, 2), nn.Flatten(), nn.Linear(36, 1))
    Trainer(GAN(G, D, normal(2)), Samples(one, 'unit'), batch_size=4).fit(2, progress=False)


class Hinge(nn.Module):
    def forward(self, real, fake): return (1 - real).relu().mean() + (1 + fake).relu().mean()


class Wanted(nn.Module):
    def forward(self, fake, x): return (x.mean() - fake).mean()


class Means(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(2, 4).requires_grad_(False)
    def forward(self, x, fakes, weight=.1): return weight*(self.features(x).mean(0) - self.features(fakes).mean(0)).square().sum()


@pytest.mark.parametrize('engine', ['eager', 'compiled'])
def test_losses_and_terms_may_be_modules(engine):
    means = Means()
    def trained(*losses, **terms):
        gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
        return Trainer(gan, ring(), Game(*losses).with_(g_terms=terms), batch_size=16, engine=engine, device='cpu').fit(3, progress=False).history
    asked = trained(Hinge(), Wanted(), means=means, more=partial(means, weight=.3))
    same = trained(lambda real, fake: Hinge()(real, fake), lambda fake, x: Wanted()(fake, x),
                   means=lambda x, fakes: means(x, fakes), more=lambda x, fakes: means(x, fakes, weight=.3))
    assert all((asked[k] == same[k]).all() for k in same)
