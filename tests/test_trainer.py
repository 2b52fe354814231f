"The trainer beyond a notebook cell: rules, kinds of data, threads, the GPU. That the default ring is learned is tested in nbs/index.ipynb."
import copy
import os
import pickle
import random
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gan_nbdev.data import Data, noises, normal, ring
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.algorithm import Rule, adam, linear, momentum_sgd
from gan_nbdev.trainer import EMA, Trainer

rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
datas = dict(distribution=ring(), memory=Samples(rows),
             stream=Stream(TensorDataset(rows), scale=None))
rules = dict(sgd=momentum_sgd(0.05), momentum=momentum_sgd(0.05, linear(0.5, 0.7, 10)),
             adam=adam(linear(1e-2, 0, 12)), amsgrad=adam(1e-3, amsgrad=True, fused=False),
             adamw=Rule(torch.optim.AdamW, lr=1e-3), adagrad=Rule(torch.optim.Adagrad, lr=1e-2),
             rmsprop=Rule(torch.optim.RMSprop, lr=1e-3, momentum=0.5))


def rmsprop(lr, **kw): return Rule(torch.optim.RMSprop, lr=lr, **kw)


def make(data, rule=None, seed=0, k=1, device='cpu', noise=normal, **kw):
    gan = GAN(mlp_generator(2, data.dim, (16,), norm='batch', seed=seed),
              mlp_discriminator(data.dim, (16,), norm='batch', dropout=0.3, seed=seed + 1),
              noise(2))
    rule = rule or adam()
    return Trainer(gan, data, k=k, batch_size=32, d_rule=rule, g_rule=rule, seed=seed,
                   device=device, **kw)


def weights(t): return {k: v.clone() for k, v in t.gan.state_dict().items()}


def same(a, b):
    wa, wb = weights(a), weights(b)
    return (all(np.array_equal(a.history[c], b.history[c]) for c in a.history)
            and all(torch.equal(wa[k], wb[k]) for k in wa))


@pytest.mark.parametrize('rule', rules)
@pytest.mark.parametrize('data', datas)
def test_state_put_back_goes_on_exactly(data, rule):
    "Every kind of rule and data, taken out at each iteration of a run that crosses an epoch's end"
    whole = make(datas[data], rules[rule], k=2).fit(9, progress=False)
    broken = make(datas[data], rules[rule], k=2)
    for i in range(9):
        fresh = make(datas[data], rules[rule], seed=7, k=2)
        fresh.load_state_dict(broken.state_dict())
        broken = fresh.fit(1, progress=False)
    assert same(whole, broken)


@pytest.mark.parametrize('m', [1, 7, 16, 24, 100])
def test_a_run_in_pieces_has_the_same_record(m):
    "The record is calculated for many iterations at once, whose number depends on the time they take"
    def run(*pieces):
        gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
        t = Trainer(gan, ring(), batch_size=m, device='cpu')
        for n in pieces: t.fit(n, progress=False)
        return t
    whole = run(60)
    for pieces in ([1]*60, [7]*8 + [4], [2, 58]): assert same(whole, run(*pieces))


@pytest.mark.parametrize('game', ['minimax', 'non-saturating'])
@pytest.mark.parametrize('noise', noises.values(), ids=noises)
def test_games_and_priors_train(game, noise):
    t = make(ring(), noise=noise, game=game).fit(50, progress=False)
    assert all(np.isfinite(v).all() for v in t.history.values())
    assert t.history['g_loss'].mean() < 0 if game == 'minimax' else t.history['g_loss'].mean() > 0


def test_two_trainers_in_turns_do_not_disturb_each_other():
    alone = (make(ring()).fit(12, progress=False),
             make(datas['memory'], seed=3).fit(12, progress=False))
    a, b = make(ring()), make(datas['memory'], seed=3)
    for _ in range(4):
        a.fit(3, progress=False)
        torch.rand(5)
        b.fit(3, progress=False)
    assert same(a, alone[0]) and same(b, alone[1])


def test_trains_in_a_thread_and_stops_when_asked():
    t = make(ring())
    worker = threading.Thread(target=t.fit, args=(10**6, False))
    worker.start()
    while t.iteration < 5: time.sleep(.001)
    t.stop('enough')
    worker.join(20)
    assert not worker.is_alive() and t.stopped == 'enough'
    assert len(t.history['value']) == t.iteration


def test_ctrl_c_ends_cleanly_and_one_more_a_second_later_at_once():
    class Press:
        def __init__(self, times): self.times = times
        def after_iteration(self, trainer):
            if trainer.iteration == 7:
                for i in range(self.times):
                    if i: time.sleep(1.1)
                    os.kill(os.getpid(), signal.SIGINT)
    handler = signal.getsignal(signal.SIGINT)
    t = make(ring(), hooks=[Press(1)]).fit(30, progress=False)
    assert (t.iteration, t.stopped) == (7, 'interrupted')
    assert signal.getsignal(signal.SIGINT) is handler
    t.hooks = []
    assert same(t.fit(23, progress=False), make(ring()).fit(30, progress=False))
    t = make(ring(), hooks=[Press(2)])
    with pytest.raises(KeyboardInterrupt): t.fit(30, progress=False)
    assert len(t.history['value']) == t.iteration == 7
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_inside_a_network_keeps_what_was_done():
    t = make(ring())
    t.fit(5, progress=False)
    def fail(*args): raise RuntimeError('mine')
    handle = t.gan.generator.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match='mine'): t.fit(5, progress=False)
    handle.remove()
    assert len(t.history['value']) == t.iteration == 5
    t.fit(5, progress=False)
    assert t.iteration == 10


@pytest.mark.parametrize('at', [1, 50])
def test_a_hook_that_fails_loses_no_row_and_is_what_is_told(at):
    class Logs:
        def after_iteration(self, t): t.log('a', t.iteration)
    class Fails:
        def after_iteration(self, t):
            if t.iteration == at: raise KeyError('mine')
    t = make(ring(), hooks=[Logs(), Fails()])
    with pytest.raises(KeyError, match='mine'): t.fit(100, progress=False)
    t.hooks.pop()
    t.fit(5, progress=False)
    assert t.iteration == at + 5 and t.history['a'].tolist() == [*range(1, at + 6)]


def test_what_is_logged_is_kept_as_it_is(tmp_path):
    from gan_nbdev.run_folders import _write_history
    class Logs:
        def after_iteration(self, t): t.log('n', 2**24 + t.iteration); t.log('far', 1e300); t.log('half', .5)
    a, b = (make(ring(), hooks=[Logs()]) for _ in 'ab')
    a.fit(2, progress=False).log('late', .1)
    with pytest.raises(ValueError, match=r'n is 9007199254740993, but the record tells whole numbers apart only up to 2\*\*53'): a.log('n', 2**53 + 1)
    for t in (a, b.load(a.save(tmp_path/'a') or tmp_path/'a')):
        t.fit(1, progress=False)
        assert t.history['n'].tolist() == [2**24 + 1, 2**24 + 2, 2**24 + 3] and t.history['far'].tolist() == [1e300]*3
        assert t.history['late'][1] == .1 and t.history['half'].dtype == t.history['d_loss'].dtype == np.float32
        _write_history(t.history, tmp_path/'history.csv')
        assert (tmp_path/'history.csv').read_text().splitlines()[2].endswith(',16777218.0,1e+300,0.5,0.1')


@pytest.mark.parametrize('who, kw', [('generator', {}), ('discriminator', {}), ('discriminator', dict(rule=adam(clip_weights=.01))),
                                     ('discriminator', dict(game='wasserstein'))])
def test_user_frozen_parameters_stay_frozen(who, kw):
    t = make(ring(), **kw)
    first = next(getattr(t.gan, who).parameters()).requires_grad_(False)
    before = first.clone()
    t.fit(3, progress=False)
    assert torch.equal(first, before) and not first.requires_grad


@pytest.mark.parametrize('kw, n', [(dict(k=2, accumulate=2), 16), (dict(k=2, accumulate=2, k_g=3), 16),
                                   (dict(k=2, accumulate=2, k_g=3, game='relativistic'), 7)])
def test_epochs_count_every_minibatch_of_data_that_is_drawn(kw, n):
    "200 rows ten times, by 32; G's turns need some where the game asks for pairs"
    assert make(datas['memory'], **kw).fit(epochs=10, progress=False).iteration == n


def test_a_new_rule_begins_where_its_schedule_stands():
    t = make(ring(), momentum_sgd(0.1)).fit(5, progress=False)
    kept = t.d_opt
    t.change(d_rule=momentum_sgd(linear(0.4, 0., 10)))
    assert t.d_opt is kept and kept.param_groups[0]['lr'] == 0.2


@pytest.mark.parametrize('old, more', [(adam, dict(amsgrad=True)), (rmsprop, dict(centered=True)), (rmsprop, dict(momentum=.5)),
                                       (rmsprop, dict(momentum=linear(0., .5, 2)))])
def test_a_rule_that_keeps_more_than_the_one_before_begins_anew(old, more):
    t = make(ring(), old(1e-3)).fit(3, progress=False)
    kept = t.d_opt
    assert t.change(d_rule=old(1e-4)).d_opt is kept
    t.d_rule = old(1e-3, **more)
    assert t.d_opt is not kept and t.fit(2, progress=False).iteration == 5


@pytest.mark.parametrize('kind, scale', [(torch.optim.SGD, lambda g, v: g), (torch.optim.RMSprop, lambda g, v: g/(v.sqrt() + 1e-8))])
def test_a_step_is_remembered_while_momentum_is_0(kind, scale):
    p, β, rng = nn.Parameter(torch.zeros(3)), [0., .5, 0., 0., .5, .25], torch.Generator().manual_seed(0)
    rule = Rule(kind, lr=.1, momentum=lambda t: β[t])
    opt, step, squares, by_hand = rule.start([p]), 0., 0., torch.zeros(3)
    for t, b in enumerate(β):
        p.grad = torch.randn(3, generator=rng)
        squares = .99*squares + .01*p.grad**2
        step = b*step + scale(p.grad, squares)
        by_hand -= .1*step
        rule.tune(opt, t); rule.step(opt)
    torch.testing.assert_close(p.detach(), by_hand, rtol=1e-5, atol=1e-6)

class Noisy(nn.Module):
    def forward(self, x): return x + .1*torch.randn_like(x)

class Copies:
    "Takes a copy of the trainer after iteration 5"
    def __init__(self, when, way): setattr(self, when, lambda t: t.iteration == 5 and vars(self).update(taken=way(t)))
    def __reduce__(self): return object, ()   # the copy has none

ways = copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))

@pytest.mark.parametrize('way', ways)
def test_a_copy_that_a_hook_takes_is_a_trainer_of_its_own(way):
    t = make(ring(), hooks=[h := Copies('after_block', way)])
    t.gan.discriminator.append(Noisy())
    h.every = 5
    twin = t.fit(5, progress=False).hooks.pop().taken
    twin.hooks = []
    outside = torch.get_rng_state()
    twin.fit(5, progress=False)
    assert torch.equal(torch.get_rng_state(), outside) and same(twin, t.fit(5, progress=False))


@pytest.mark.parametrize('way', ways)
def test_a_copy_within_a_block_would_lack_rows(way):
    t = make(ring(), hooks=[Copies('after_iteration', way)])
    with pytest.raises(ValueError, match='copy the trainer, .* in after_block') as e: t.fit(9, progress=False)
    assert '\n' not in str(e.value) and len(t.history['value']) == t.iteration == 5


class Drawing(TensorDataset):
    def __getitem__(self, i): return super().__getitem__(i)[0] + random.random()

class InOrder(IterableDataset):
    def __iter__(self): return (o + random.random() + torch.rand(()) for o in rows)

streamed = dict(stream=lambda: Stream(Drawing(rows), scale=None), iterable=lambda: Stream(InOrder(), scale=None),
                loader=lambda: DataLoader(Drawing(rows), 32, shuffle=True),
                own=lambda: DataLoader(Drawing(rows), 32, shuffle=True, generator=torch.Generator().manual_seed(3)))

def on_stream(data):
    data = streamed[data]()
    return Trainer(GAN(mlp_generator(2, 3, (8,), seed=0), mlp_discriminator(3, (8,), seed=1), normal(2)), data,
                   device='cpu', **(dict(batch_size=32) if isinstance(data, Stream) else {}))

@pytest.mark.parametrize('data', streamed)
@pytest.mark.parametrize('n', [4, 6, 8])
def test_a_copy_of_what_reads_a_stream_goes_on_exactly(data, n):
    "Also in the middle of an epoch, of items that draw: what is read again draws nothing that is to come"
    t = on_stream(data).fit(n, progress=False)
    fresh = on_stream(data)
    fresh.load_state_dict(t.state_dict())
    copies = [fresh, *(way(t) for way in ways)]
    t.fit(9, progress=False)
    assert all(same(t, o.fit(9, progress=False)) for o in copies)


def test_dropout_that_a_hook_brings_in_is_the_same_in_pieces():
    class Ramp:
        def after_iteration(self, t): t.gan.discriminator[-1].p = min(.5, .1*t.iteration)
    def run(*pieces):
        t = Trainer(GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1).append(nn.Dropout(0.)), normal(2)), ring(),
                    batch_size=16, device='cpu', hooks=[Ramp()])
        for n in pieces: t.fit(n, progress=False)
        return t
    assert same(run(8), run(4, 4))


@pytest.mark.gpu
@pytest.mark.parametrize('data', datas)
def test_gpu_trains_and_keeps_the_opponent_still(data):
    t = make(datas[data], device='cuda')
    t.fit(20, progress=False)
    G, D = t.gan.generator, t.gan.discriminator
    for mover, still, step in ((D, G, t.d_step), (G, D, t.g_step)):
        old, moved = ({k: v.clone() for k, v in o.state_dict().items()} for o in (still, mover))
        step()
        assert all(torch.equal(v, old[k]) for k, v in still.state_dict().items())
        assert any(not torch.equal(v, moved[k]) for k, v in mover.state_dict().items())
    assert t.sample(10).device.type == 'cpu' and len(t.history['value']) == 20


@pytest.mark.gpu
def test_gpu_first_step_agrees_with_cpu():
    "One step of each player from the same weights, x and z: float32 rounding, no dropout"
    def trainer(device):
        gan = GAN(mlp_generator(2, 2, (64,), seed=0), mlp_discriminator(2, (64,), seed=1),
                  normal(2))
        t = Trainer(gan, ring(), batch_size=64, d_rule=momentum_sgd(0.1), g_rule=momentum_sgd(0.1),
                    device=device)
        g = torch.Generator().manual_seed(0)
        x, z = ring().sample(64, g), normal(2).sample(64, g)
        t.source.next = lambda: x.to(device)
        t.gan.draw_noise = lambda n, generator=None: z.to(device)
        t.step()
        return {k: v.cpu() for k, v in t.gan.state_dict().items()}
    a, b = trainer('cpu'), trainer('cuda')
    for k in a: torch.testing.assert_close(a[k], b[k], rtol=1e-4, atol=1e-6)


# ---- states and settings that do not fit

@pytest.mark.parametrize('of, why', [
    (lambda s: make(ring()).state_dict() | dict(gan={k: torch.cat([v, v], -1) if v.ndim else v for k, v in s['gan'].items()}), 'does not fit this trainer'),
    (lambda s: {**s, 'gan': {k: v for k, v in s['gan'].items() if k != 'discriminator.0.bias'}}, 'does not fit this trainer'),
    (lambda s: make(ring(), rules['sgd']).fit(1, progress=False).state_dict(), 'd_opt is of another rule'),
    (lambda s: {k: v for k, v in s.items() if k != 'history'}, 'history is missing'),
    (lambda s: {**s, 'more': 1}, 'more is not known'), (lambda s: None, 'no state of a trainer'),
    (lambda s: {**s, 'iteration': -5}, 'iteration must be'), (lambda s: {**s, 'source': {'order': 'x'}}, 'does not fit this trainer'),
    (lambda s: {**s, 'net_rng': {**s['net_rng'], 'cpu': s['net_rng']['cpu']*0 + 255}}, 'does not fit this trainer'),
    (lambda s: {**s, 'history': s['history'].half()}, 'history must be torch.float32 or float64'), (lambda s: {**s, 'history': s['history'][:, :4]}, 'as many as its columns'),
    (lambda s: {**s, 'history': s['history'][:, :4].repeat(5, 1)}, 'as many as its columns'), (lambda s: {**s, 'history': s['history'].flatten()}, 'history must be'),
    (lambda s: {**s, 'history': None}, 'not None'), (lambda s: {**s, 'columns': []}, 'columns must be'), (lambda s: {**s, 'columns': ['d_loss']*5}, 'columns must be'),
    (lambda s: {**s, 'columns': [*s['columns'][:4], 'd_loss']}, 'columns must be a list of different names'), (lambda s: {**s, 'hooks': None}, 'hooks must be a list, not None')])
def test_a_state_that_does_not_fit_changes_nothing(of, why):
    t, twin = (make(ring()).fit(3, progress=False) for _ in range(2))
    state = of(t.state_dict())
    with pytest.raises(ValueError, match=why) as e: t.load_state_dict(state)
    assert '\n' not in str(e.value)
    assert same(t.fit(3, progress=False), twin.fit(3, progress=False))


def test_a_hook_may_have_one_player_move():
    class Moves:
        every = 5
        def after_block(self, t): t.alone('d', 2)
    before = torch.get_rng_state()
    for e in ('eager', 'compiled'):
        t = make(ring(), hooks=[Moves()], engine=e).fit(20, progress=False)
        assert t.iteration == 20 and t.moves == 8 and torch.equal(before, torch.get_rng_state())


def test_minibatches_stay_whole_packs():
    t = Trainer(GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,), pack=2), normal(2), pack=2), ring(), batch_size=32)
    with pytest.raises(ValueError, match='batch_size must be a multiple of 2'): t.change(batch_size=33)
    with pytest.raises(ValueError, match='batch_size must be a multiple of 2'): t.batch_size = 33
    assert t.batch_size == 32


@pytest.mark.parametrize('norms, pack', [(dict(generator='batch'), 1), (dict(discriminator='batch'), 1), (dict(discriminator='batch'), 2)])
def test_one_row_has_no_spread_for_batch_norm(norms, pack):
    gan = GAN(mlp_generator(2, 2, (8,), norm=norms.get('generator')), mlp_discriminator(2, (8,), pack=pack, norm=norms.get('discriminator')),
              normal(2), pack=pack)
    t, state = Trainer(gan, ring(), batch_size=2*pack).fit(1, progress=False), torch.get_rng_state()
    for ask in (lambda: Trainer(gan, ring(), batch_size=pack), lambda: t.change(batch_size=pack)):
        with pytest.raises(ValueError, match=f'batch_size must be at least {2*pack} with this batch norm, not {pack}: Expected more than 1'): ask()
    assert t.batch_size == 2*pack and torch.equal(state, torch.get_rng_state())
    gan.eval()   # by the means it has
    Trainer(gan, ring(), batch_size=pack).fit(1, progress=False)


@pytest.mark.parametrize('name, v', [('seed', 5), ('ema', 5), ('ema', None), ('device', 'cuda'), ('data', rows), ('threads', 'a'), ('threads', 0)])
def test_what_cannot_be_assigned_is_refused_at_once(name, v):
    t = make(ring(), ema=10)
    was = getattr(t, name)
    with pytest.raises(ValueError, match=f'^{name} '): setattr(t, name, v)
    assert getattr(t, name) is was
    setattr(t, name, was)


@pytest.mark.parametrize('fit', [lambda t: t.fit(5, progress=False), lambda t: Ensemble(t, 'eager').fit(5, progress=False)])
@pytest.mark.parametrize('leave', [lambda t: setattr(t, 'hooks', []), lambda t: t.hooks.clear()])
def test_the_average_goes_on_beside_other_hooks(leave, fit):
    t = make(ring(), ema=1)
    leave(t)
    before = t.sample(4)
    fit(t)
    assert t.hooks == [t.ema] and not torch.equal(t.sample(4), before)


def test_states_that_the_generators_refuse_are_not_half_in_force():
    t, twin = (make(ring()) for _ in range(2))
    own, outside = t.lent.states, torch.get_rng_state()
    for k, bad in (('numpy', ('MT19937', 'x', 0)), ('cpu', torch.zeros(3, dtype=torch.uint8))):
        t.lent.states = own | {k: bad}
        with pytest.raises(Exception), t.lent: pass
        assert torch.equal(torch.get_rng_state(), outside)
        t.lent.states = own
    with t.lent: drawn = torch.rand(3)
    with twin.lent: assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(torch.get_rng_state(), outside)


class After:
    "A hook that acts after one iteration"
    def __init__(self, i, act): self.i, self.act = i, act
    def after_iteration(self, trainer):
        if trainer.iteration == self.i: self.act(trainer)


def test_precision_set_by_a_hook_holds_from_the_next_iteration():
    "Wherever the block would have ended"
    def coarser(t): t.precision = 'bf16'
    plain = make(ring()).fit(40, progress=False).history['d_loss']
    changed = make(ring(), hooks=[After(33, coarser)]).fit(40, progress=False).history['d_loss']
    assert (changed != plain).nonzero()[0][0] == 33


def test_a_state_taken_up_before_the_training_is_where_it_goes_on():
    state = make(ring()).fit(5, progress=False).state_dict()
    class Resumed:
        def before_fit(self, trainer, n): trainer.load_state_dict(state)
    t = make(ring(), hooks=[Resumed()]).fit(4, progress=False)
    assert t.iteration == 9 and same(t, make(ring()).fit(9, progress=False))


@pytest.mark.parametrize('have', ['state_dict', 'load_state_dict'])
def test_a_hook_with_half_a_state_is_refused(have):
    hook = After(1, print)
    setattr(hook, have, dict)
    with pytest.raises(ValueError, match=f'{have} alone'): make(ring(), hooks=[hook])


def test_what_a_trainer_draws_from_stays():
    t = make(ring())
    with pytest.raises(ValueError, match='rng of a trainer stays as it is'): t.rng = torch.Generator()
    t.rng = t.rng


def test_data_that_move_are_told_of_in_the_first_iterations():
    class Counts(Data):
        name, dim, n = 'counts', 2, 0
        def _draw(self, n, generator):
            if moves: self.n += 1
            return torch.randn(n, 2, generator=generator)
    moves, t = True, make(Counts())
    with pytest.warns(UserWarning, match='counts changes its attribute n while training, which no checkpoint keeps') as told: t.fit(9, progress=False)
    assert len([w for w in told if 'counts' in str(w.message)]) == 1
    moves = False
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        make(Counts()).fit(3, progress=False)


def test_an_average_of_another_generator_is_refused():
    other = GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,)), normal(2))
    with pytest.raises(ValueError, match='an average of another generator'): make(ring(), hooks=[EMA(other)]).fit(1, progress=False)


def test_an_ensemble_that_has_trained_can_be_pickled():
    e = Ensemble([make(ring(), seed=i) for i in (0, 1)], engine='eager')
    e.fit(2, progress=False)
    again = pickle.loads(pickle.dumps(e))
    for o in (e, again): o.fit(2, progress=False)
    assert all(map(same, e.trainers, again.trainers))


@pytest.mark.parametrize('order', ['alternating', 'simultaneous'])
def test_a_schedule_that_fails_leaves_no_half_an_iteration(order):
    tab = [1e-3]*7
    t = make(ring(), adam(1e-3), order=order)
    t.change(g_rule=adam(lambda i: tab[i]))
    with pytest.raises(IndexError): t.fit(20, progress=False)
    assert t.iteration == len(t.record) == 7
    assert {s['step'].item() for opt in (t.d_opt, t.g_opt) for s in opt.state.values()} == {7}


def test_a_schedule_of_the_library_that_no_rule_takes_in_the_end_is_refused_at_once():
    t = make(ring()).change(g_rule=adam(linear(1e-3, -1e-4, 100)))
    with pytest.raises(ValueError, match='lr must not fall below 0, but is -0.0001 at iteration 199'): t.fit(200, progress=False)
    assert t.iteration == 0 and t.fit(50, progress=False).iteration == 50


def test_a_rule_finds_nothing_that_an_earlier_one_kept():
    t, fresh = (make(ring(), momentum_sgd(.05, .9)) for _ in range(2))
    t.fit(5, progress=False).change(g_rule=momentum_sgd(.05, 0.)).fit(5, progress=False)
    fresh.load_state_dict(t.state_dict())
    for p in fresh.gan.generator.parameters(): fresh.g_opt.state[p].clear()
    t.change(g_rule=momentum_sgd(.05, .9))
    fresh.change(g_rule=momentum_sgd(.05, .9))
    assert same(t.fit(5, progress=False), fresh.fit(5, progress=False))
    assert t.fit(1, progress=False).iteration == 16


class Waves(nn.Module):
    def __init__(self):
        super().__init__(); torch.manual_seed(0)
        self.a, self.b = nn.Linear(2, 8, dtype=torch.complex64), nn.Linear(8, 2)
    def forward(self, z): return self.b(self.a(z.to(torch.complex64)).abs())


def of_ring(G, **more): return Trainer(GAN(G, mlp_discriminator(2, (8,), seed=1), normal(2)), ring(), batch_size=16, device='cpu', **{'engine': 'eager', **more})


def test_complex_weights_learn_by_the_default_rule():
    t, same = of_ring(Waves()).fit(3, progress=False), of_ring(Waves(), g_rule=adam(fused=False)).fit(3, progress=False)
    assert torch.equal(t.sample(5), same.sample(5))
    t.change(g_rule=adam(5e-4)).fit(2, progress=False)
    late = of_ring(Waves(), g_rule=adam(5e-4))
    late.load_state_dict(t.state_dict())
    assert torch.equal(late.fit(2, progress=False).sample(5), t.fit(2, progress=False).sample(5))
    for why, rule in (('clip_weights is for real weights', adam(clip_weights=.1)), ('fused=True is for real weights', adam(fused=True))):
        with pytest.raises(ValueError, match=why): of_ring(Waves(), g_rule=rule)
        with pytest.raises(ValueError, match=why): t.change(g_rule=rule)
    assert t.iteration == 7


@pytest.mark.skipif(not hasattr(torch.optim, 'Muon'), reason='a torch without it')
def test_a_rule_that_takes_matrices_alone():
    def rule(**more): return Rule(torch.optim.Muon, lr=1e-2, **more)
    def G(bias=False): torch.manual_seed(0); return nn.Sequential(nn.Linear(2, 8, bias=bias), nn.ReLU(), nn.Linear(8, 2, bias=bias))
    t = of_ring(G(), g_rule=rule(), engine='auto').fit(3, progress=False)
    assert not torch.equal(t.gan.generator[0].weight, G()[0].weight)
    t.change(g_rule=rule(scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 2))).fit(3, progress=False)
    assert t.change(g_rule=adam()).change(g_rule=rule(weight_decay=0.)).fit(3, progress=False).iteration == 9
    with pytest.raises(ValueError, match='Muon only supports 2D parameters.*8'): of_ring(G(bias=True), g_rule=rule())
    with pytest.raises(ValueError, match='Muon only supports 2D parameters.*8'): t.change(d_rule=rule())


def test_before_training_the_average_is_the_weights_as_they_are():
    w = make(ring()).fit(5, progress=False).gan.state_dict()
    a, b = make(ring(), ema=5.), make(ring())
    for t in (a, b): t.gan.load_state_dict(w)
    assert torch.equal(a.sample(3), b.sample(3)) and torch.equal(a.sample(3, of=a.ema), b.sample(3))


def test_a_source_of_ones_own_without_a_state_is_refused_at_once():
    class Src:
        m = 16
        def next(self): return torch.zeros(16, 2)
    class Own:
        name, dim = 'own', 2
        def source(self, m, rng, device): return Src()
    with pytest.raises(ValueError, match='the source of Own has no state_dict: '): make(Own())
