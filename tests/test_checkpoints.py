"""A run can be stopped anywhere and goes on to the bit; nothing is half written or half loaded.

`GAN_CASES` says how many changed files the readers are given: 100 by default, 2,000 in a full run.
"""
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from gan_nbdev.engines.checkpoints import (Checkpoints, checkpoint_files, fingerprint, latest_checkpoint, pack,
                                   read_checkpoint, settings_of, versions, write_checkpoint)
from gan_nbdev.cli import gan_train
from gan_nbdev.run_folders import load_run
from gan_nbdev.data import Noise, normal, ring, uniform
from gan_nbdev.experiments import Experiment
from gan_nbdev.runs import Run
from gan_nbdev.engines.compiled import has_compiler
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.algorithm import Rule, adam, linear, momentum_sgd
from gan_nbdev.trainer import EMA, EarlyStop, Trainer

from commands import run

here, bin_ = Path(__file__).parent, Path(sys.executable).parent
cases = settings(max_examples=int(os.environ.get('GAN_CASES', '100')), deadline=None,
                 derandomize='GAN_CASES' not in os.environ, database=None,
                 suppress_health_check=list(HealthCheck))

rows = torch.arange(300.).view(100, 3) % 7


class Repeats(IterableDataset):
    def __iter__(self): return iter(rows)


datas = dict(distribution=ring(), memory=Samples(rows, scale=None),
             stream=Stream(TensorDataset(rows)), iterable=Stream(Repeats()))
optimisers = dict(SGD=dict(lr=0.05), Adam=dict(lr=1e-2, amsgrad=True), AdamW=dict(lr=1e-2),
                  RMSprop=dict(lr=1e-3, momentum=0.5, centered=True), Adagrad=dict(lr=1e-2),
                  Adadelta={}, Adamax=dict(lr=1e-3), NAdam=dict(lr=1e-3), RAdam=dict(lr=1e-3),
                  ASGD=dict(lr=1e-2), Rprop=dict(lr=1e-3))
if hasattr(torch.optim, 'Adafactor'): optimisers['Adafactor'] = dict(lr=1e-2)
rules = {name: Rule(getattr(torch.optim, name), **kw) for name, kw in optimisers.items()}
rules |= dict(momentum=momentum_sgd(0.05, linear(0.5, 0.7, 10)), fused=adam(linear(1e-2, 0, 12)),
              nesterov=momentum_sgd(0.05, 0.9, nesterov=True),
              capturable=adam(1e-2, fused=False, foreach=True))


def make(data=datas['distribution'], rule=None, hooks=(), net=None, seed=0, **kw):
    G = net or mlp_generator(2, data.dim, (8,), norm='batch', seed=0)
    gan = GAN(G, mlp_discriminator(data.dim, (8,), norm='batch', dropout=0.3, seed=1), normal(2))
    rule = rule or adam()
    t = Trainer(gan, data, **{**dict(batch_size=32, d_rule=rule, g_rule=rule, seed=seed,
                                     device='cpu'), **kw})
    t.hooks = [h(gan) for h in hooks]
    return t


def state(t):
    tree, tensors = pack(t.state_dict())
    return json.dumps(tree), {k: v.tolist() for k, v in tensors.items()}


def result(t): return [v.tolist() for v in (*t.gan.state_dict().values(), *t.history.values())]


def in_pieces(make, path, n, sizes):
    "A run that goes through a file, and a new trainer, after every piece"
    make().save(path)
    for size in sizes: make().load(path).fit(size, progress=False).save(path)
    t = make().load(path)
    assert t.iteration == n
    return t


def stopper(gan): return EarlyStop(lambda t: -abs(t.iteration - 4), every=2, patience=2)


# ---- exact resume

@pytest.mark.parametrize('rule', rules)
def test_every_optimiser_resumes_exactly_at_every_iteration(rule, tmp_path):
    def new(): return make(rule=rules[rule], hooks=(EMA,))
    whole = new().fit(7, progress=False)
    assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 7, [1]*7))


@pytest.mark.parametrize('rule', [
    adam(lambda t: 1e-2*(1 + np.cos(t/9))), momentum_sgd(.05, lambda t: np.minimum(np.float64(.5), t/9)),
    Rule(torch.optim.Adam, betas=[np.float64(.5), np.float64(.9)]), Rule(torch.optim.Adam, betas=lambda t: (np.float64(.5), .9))])
def test_rates_may_be_numpys_numbers(rule, tmp_path):
    def new(): return make(rule=rule)
    assert state(new().fit(4, progress=False)) == state(in_pieces(new, tmp_path/'c.safetensors', 4, [2, 2]))


class OwnOptimiser(torch.optim.Optimizer):
    def __init__(self, params, lr=.01): super().__init__(params, dict(lr=lr, last=None))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group['params']: p -= group['lr']*p.grad/self.count(group, p)

    def in_group(self, group, p): group['step'] = group.get('step', 0) + 1; return group['step']
    def for_none(self, group, p): group['last'] = (group['last'] or 0) + 1; return group['last']
    def in_list(self, group, p): seen = self.state[p].setdefault('seen', []); seen.append(p.grad.norm()); return len(seen)
    def of_all(self, group, p): self.state['n'] = self.state.get('n', 0) + 1; return self.state['n']
    def in_double(self, group, p): s = self.state[p]; s['m'] = s.get('m', torch.zeros(p.shape, dtype=torch.float64)) + .1; return s['m'].exp()
    def beside(self, group, p): self.n = getattr(self, 'n', 0) + 1; return self.n


def own(count): return type(count, (OwnOptimiser,), dict(count=getattr(OwnOptimiser, count)))


@pytest.mark.parametrize('count', ['in_group', 'for_none', 'in_list', 'of_all', 'in_double'])
def test_optimisers_of_ones_own_resume_exactly_whatever_they_keep(count, tmp_path):
    rule = Rule(own(count))
    def new(): return make(rule=rule)
    whole = new().fit(4, progress=False)
    assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 4, [1, 2, 1]))
    begun, late = new().state_dict(), new().fit(2, progress=False)
    late.load_state_dict(begun)
    assert state(late.change(d_rule=rule, g_rule=rule).fit(4, progress=False)) == state(whole)


def test_an_optimiser_whose_attributes_move_is_refused_as_a_rule():
    with pytest.raises(ValueError, match='beside cannot be a rule: a step changes its attribute n, which its state_dict does not tell'): Rule(own('beside'))
    class Told(own('beside')):
        def state_dict(self): return super().state_dict() | dict(n=getattr(self, 'n', 0))
    Rule(Told)


class Picks(nn.Module):
    "Has weights in half precision, and whole numbers among its parameters"
    def __init__(self, dtype):
        super().__init__()
        torch.manual_seed(0)
        self.l, self.places = nn.Linear(2, 2).to(dtype), nn.Parameter(torch.tensor([1, 0]), requires_grad=False)
    def forward(self, z): return self.l(z.to(self.l.weight.dtype))[:, self.places].float()

class Tells(nn.Module):
    "Has a state that is no tensor, and grows"
    def __init__(self): super().__init__(); torch.manual_seed(0); self.l, self.seen = nn.Linear(2, 2), {}
    def forward(self, z):
        if self.training: self.seen[f'call {len(self.seen)}'] = len(self.seen)
        return self.l(z)*(1 + .01*len(self.seen))
    def get_extra_state(self): return self.seen
    def set_extra_state(self, v): self.seen = v


@pytest.mark.parametrize('net', [lambda: Picks(torch.float32), lambda: Picks(torch.bfloat16), lambda: Picks(torch.float16), Tells])
@pytest.mark.parametrize('ema', [None, 3.])
def test_networks_with_whole_numbers_halves_and_extra_state_resume_exactly(net, ema, tmp_path):
    def new(): return make(net=net(), ema=ema, rule=momentum_sgd(.05))
    whole = new().fit(4, progress=False)
    assert state(whole) == state(t := in_pieces(new, tmp_path/'c.safetensors', 4, [1, 2, 1]))
    assert torch.equal(whole.sample(5), t.sample(5))
    Run(Experiment.of(t), trainer=t).save(tmp_path/'run', measured={})
    assert state(new().load(latest_checkpoint(tmp_path/'run'/'checkpoints'))) == state(whole)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_an_average_of_half_precision_follows(dtype):
    t = make(net=Picks(dtype), ema=500)
    w = t.gan.generator.l.weight.detach()
    for value, n in ((0, 600), (1, 1000)):
        w.fill_(value)
        for _ in range(n): t.ema.after_iteration(t)
    moved = sum(.5**(i/500) for i in range(1000))/sum(.5**(i/500) for i in range(1600))
    assert (t.ema.gan.generator.l.weight - moved).abs().max() < .004


@pytest.mark.parametrize('game', ['minimax', 'non-saturating'])
@pytest.mark.parametrize('data', datas)
def test_every_kind_of_data_and_game_resumes_exactly(data, game, tmp_path):
    "Seven iterations of two minibatches go well past the end of an epoch of three"
    def new(): return make(datas[data], k=2, game=game, hooks=(EMA, stopper))
    whole = new().fit(7, progress=False)
    assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 7, [1]*7))


def test_early_stop_stops_where_it_would_have(tmp_path):
    def new(): return make(hooks=(stopper,))
    whole = new().fit(100, progress=False)
    assert whole.iteration == 8 and whole.hooks[0].best_iteration == 4
    for n in range(1, 9):
        new().fit(n, progress=False).save(tmp_path/'c.safetensors')
        t = new().load(tmp_path/'c.safetensors').fit(100 - n, progress=False)
        assert state(t) == state(whole)
        t.load_state_dict(t.hooks[0].best_state)
        assert t.iteration == 4


def test_best_states_of_two_hold_none_of_each_other():
    def rising(gan): return EarlyStop(lambda t: t.iteration, every=1)
    t = make(hooks=(rising, rising)).fit(60, progress=False)
    a, b = t.hooks
    assert [s['best_state'] for s in (*a.best_state['hooks'], *b.best_state['hooks'])] == ['this']*4
    t.load_state_dict(b.best_state)
    assert t.iteration == 60 and a.best_state['iteration'] == 60


def test_a_best_state_of_another_time_is_none():
    "What one has found best knows of the other's only when that was, and that is told"
    a, b = (EarlyStop(f, every=1, patience=20) for f in (lambda t: -abs(t.iteration - 3), lambda t: t.iteration))
    t = make(hooks=(lambda gan: a, lambda gan: b)).fit(8, progress=False)
    t.load_state_dict(a.best_state)
    assert (t.iteration, b.best_iteration, b.best_state) == (3, 2, None)


class Still(Rule):
    def step(self, opt): pass

def rule_with(clip=None, cls=Rule, **kw): return cls(torch.optim.SGD, **{'lr': lambda t: .1, 'clip_gradient': clip} | kw)

@pytest.mark.parametrize('mine, other, what', [
    (rule_with(1.), rule_with(.1), 'clip_gradient'), (rule_with(), rule_with(.1), 'clip_gradient'), (rule_with(clip_weights=.1), rule_with(), 'clip_weights'),
    (rule_with(), rule_with(cls=Still), 'kind'), (rule_with(lr=.1, cls=Still), rule_with(lr=.1), 'kind')])
def test_a_state_is_of_a_rule_with_its_clips_and_class(mine, other, what, tmp_path):
    make(rule=mine).save(tmp_path/'c')
    assert make(rule=mine).load(tmp_path/'c').iteration == 0
    with pytest.raises(ValueError, match=f'd_rule.{what} differs'): make(rule=other).load(tmp_path/'c')
    t = make(rule=mine)   # older ones did not tell
    said = settings_of(t)
    older = said | {who: {k: v for k, v in said[who].items() if k not in ('kind', 'clip_gradient', 'clip_weights')} for who in ('d_rule', 'g_rule')}
    write_checkpoint(tmp_path/'older', t.state_dict(), iteration=0, settings=older, versions=versions(), notes=None)
    assert make(rule=mine).load(tmp_path/'older').iteration == 0


def of_noise(noise): return Trainer(GAN(mlp_generator(2, 2, (4,), seed=0), mlp_discriminator(2, (4,), seed=1), noise), ring(), batch_size=8, device='cpu')

def own_noise(**settings): return Noise('own', 2, lambda n, dim, generator, **_: torch.randn(n, dim, generator=generator), **settings)

@pytest.mark.parametrize('mine, other, k', [
    (uniform(2, 0, 1.23456), uniform(2, 0, 1.23461), 'high'), (uniform(2, 0, 1.235), uniform(2, 0, 1.23461), 'high'), (own_noise(at=torch.arange(2000) == 9), own_noise(at=torch.arange(2000) == 8), 'at'),
    (own_noise(kind='a'*99 + 'b'), own_noise(kind='a'*99 + 'c'), 'kind')], ids=['digits', 'more digits', 'tensor', 'long'])
def test_noises_differ_in_digits_that_no_repr_shows(mine, other, k, tmp_path):
    t = of_noise(mine)
    t.save(tmp_path/'c')
    assert of_noise(mine).load(tmp_path/'c').iteration == 0
    with pytest.raises(ValueError, match=f'noise settings.{k} differs'): of_noise(other).load(tmp_path/'c')
    older = {o: v for o, v in settings_of(t).items() if o != 'noise settings'}   # which did not tell
    write_checkpoint(tmp_path/'older', t.state_dict(), iteration=0, settings=older, versions=versions(), notes=None)
    assert of_noise(mine).load(tmp_path/'older').iteration == 0

def test_settings_of_noise_need_not_be_numbers(tmp_path):
    def new(): return of_noise(own_noise(kind='a', on=True, gap=None, at=(1, 2), places=np.arange(3)))
    new().fit(2, progress=False).save(tmp_path/'c')
    assert new().load(tmp_path/'c').iteration == 2
    assert of_noise(uniform(2, 0, 1)).save(tmp_path/'d') or of_noise(uniform(2, 0., 1.)).load(tmp_path/'d').iteration == 0


class Draws(nn.Module):
    "Draws from all three global generators, as networks of one's own may"
    def __init__(self, spectral):
        super().__init__()
        norm = dict(old=nn.utils.spectral_norm, new=nn.utils.parametrizations.spectral_norm)
        self.lin = norm[spectral](nn.Linear(2, 2))
    def forward(self, x):
        return self.lin(x) + torch.rand(1) + float(np.random.rand()) + random.random()


@pytest.mark.parametrize('spectral', ['old', 'new'])
def test_a_network_that_draws_from_global_generators_resumes_exactly(spectral, tmp_path):
    def new():
        torch.manual_seed(0)
        return make(net=Draws(spectral))
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    whole = new().fit(6, progress=False)
    torch.rand(3); np.random.rand(3); random.random()
    assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 6, [1, 2, 3]))
    torch.set_rng_state(before[0])


@pytest.mark.skipif(not has_compiler(), reason='no C++ compiler')
def test_the_compiled_engine_resumes_exactly(tmp_path):
    def new(): return make(k=2, engine='compiled', hooks=(EMA,),
                           rule=adam(linear(1e-2, 0, 12)))
    whole = new().fit(30, progress=False)
    assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 30, [1, 16, 13]))


@pytest.mark.gpu
@pytest.mark.parametrize('engine', ['eager', 'graphed', 'compiled'])
def test_gpu_resumes_exactly_with_deterministic_algorithms(engine, tmp_path):
    def new(): return make(k=2, engine=engine, device='cuda', hooks=(EMA,))
    torch.use_deterministic_algorithms(True)
    try:
        whole = new().fit(30, progress=False)
        assert state(whole) == state(in_pieces(new, tmp_path/'c.safetensors', 30, [1, 16, 13]))
        assert read_checkpoint(tmp_path/'c.safetensors')[1]['versions']['gpu'] == torch.cuda.get_device_name()
    finally: torch.use_deterministic_algorithms(False)


def test_two_trainers_and_a_thread_do_not_disturb_each_other():
    alone = [result(make(seed=s).fit(40, progress=False)) for s in (0, 1)]
    outside, stop, drawn = torch.get_rng_state(), threading.Event(), []
    torch.manual_seed(5); np.random.seed(5); random.seed(5)
    def draw():
        while not stop.is_set():
            drawn.append((torch.rand(()).item(), np.random.rand(), random.random()))
            time.sleep(0)
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        a, b = make(seed=0), make(seed=1)
        for _ in range(4): a.fit(10, progress=False); b.fit(10, progress=False)
    finally:
        stop.set(); thread.join()
    assert [result(a), result(b)] == alone
    torch.set_rng_state(outside)
    t, n, p = torch.Generator().manual_seed(5), np.random.RandomState(5), random.Random(5)
    assert drawn and drawn == [(torch.rand((), generator=t).item(), n.rand(), p.random())
                               for _ in drawn]


def test_a_long_record_goes_to_a_file_and_comes_back(tmp_path):
    t = make().fit(5, progress=False)
    t.record = type(t.record)(t.record.names, t.record.rows(), keep=50)
    t.fit(5, progress=False)
    assert t.record.file._rolled and result(t) == result(make().fit(10, progress=False))
    t.save(tmp_path/'c.safetensors')
    assert result(make().load(tmp_path/'c.safetensors')) == result(t)


# ---- the first version of the format

def test_a_file_of_version_1_is_refused_in_one_line():
    t = make(datas['memory'], hooks=(EMA,))
    before = result(t)
    with pytest.raises(ValueError) as e: t.load(here/'data/checkpoint_v1.safetensors')
    assert 'it is of format version 1, but this gan_nbdev reads 3' in str(e.value)
    assert '\n' not in str(e.value) and result(t) == before


# ---- files that are not what they seem

@pytest.fixture(scope='module')
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp('good')/'c.safetensors'
    t = make(datas['stream'], hooks=(EMA, stopper)).fit(4, progress=False)
    t.save(path, notes=dict(a=1))
    return path


def change(draw, raw):
    "The bytes with something changed, cut out, put in or exchanged; mostly in the header"
    raw = bytearray(raw)
    for _ in range(draw(st.integers(1, 3))):
        end = draw(st.sampled_from([8, 3000, len(raw)]))
        at = draw(st.integers(0, max(min(end, len(raw)) - 1, 0)))
        what = draw(st.sampled_from(['flip', 'cut', 'put', 'remove', 'copy']))
        if what == 'flip' and raw: raw[at] ^= 1 << draw(st.integers(0, 7))
        elif what == 'cut': del raw[at:]
        elif what == 'put': raw[at:at] = draw(st.binary(min_size=1, max_size=20))
        elif what == 'remove': del raw[at:at + draw(st.integers(1, 50))]
        else: raw[at:at + 20] = raw[-20:]
    return bytes(raw)


def takes_or_refuses(t, path):
    "Load a doubtful file: either all of it is taken or nothing; did it?"
    before = state(t)
    try: t.load(path)
    except ValueError as e:
        assert str(e).count('\n') == 0 and str(path) in str(e)
        assert state(t) == before
        return False
    return True


@cases
@given(data=st.data())
def test_changed_checkpoints_are_refused(good, data):
    path, whole = good.with_name('changed.safetensors'), good.read_bytes()
    raw = change(data.draw, whole)
    path.write_bytes(raw)
    t = make(datas['stream'], hooks=(EMA, stopper))
    assert takes_or_refuses(t, path) == (raw == whole)


def spots(tree, at=()):
    "All places in a tree"
    yield at
    for k, v in (tree.items() if isinstance(tree, dict) else enumerate(tree)
                 if isinstance(tree, list) else ()):
        yield from spots(v, (*at, k))


junk = st.one_of(st.none(), st.booleans(), st.integers(-2**70, 2**70), st.floats(),
                 st.text(max_size=5), st.just([]), st.just({}), st.just({'$tensor': 'rng'}),
                 st.just({'$tuple': []}),
                 st.just({'$array': 'history'}), st.just({'$dict': [[0, 1]]}), st.just({'$x': 0}))


@cases
@given(data=st.data())
def test_forged_checkpoints_are_refused_or_taken_whole(good, data):
    "A valid hash over a tree in which something was replaced"
    whole, _ = read_checkpoint(good)
    tree, tensors = pack(whole)
    places = sorted(spots(tree), key=str)
    *above, last = data.draw(st.sampled_from([o for o in places if o]))
    at = tree
    for k in above: at = at[k]
    if data.draw(st.booleans()) or isinstance(at, list): at[last] = data.draw(junk)
    else: del at[last]
    path = good.with_name('forged.safetensors')
    forge(path, good.read_bytes(), tree)
    t = make(datas['stream'], hooks=(EMA, stopper))
    if takes_or_refuses(t, path): t.save(path)


def forge(path, raw, tree):
    "The file `raw` with another tree and a hash that fits"
    import hashlib
    from safetensors.torch import load, save
    header = json.loads(raw[8:8 + int.from_bytes(raw[:8], 'little')])
    head = json.loads(header['__metadata__']['checkpoint'])
    blank = '0'*64
    new = save(load(raw), dict(checkpoint=json.dumps({**head, 'state': tree}), blake2b=blank))
    digest = hashlib.blake2b(new, digest_size=32).hexdigest()
    path.write_bytes(new.replace(blank.encode(), digest.encode(), 1))


def test_declared_sizes_are_held_against_the_file(tmp_path):
    "A file of 60 GB on paper, of a few bytes on the disk"
    path = tmp_path/'huge.safetensors'
    for head in (b'\xff'*8, (10**10).to_bytes(8, 'little'), (2).to_bytes(8, 'little') + b'{}'):
        with open(path, 'wb') as f: f.write(head); f.truncate(60*10**9)
        with pytest.raises(ValueError, match='is not a valid checkpoint'): read_checkpoint(path)


class Own:
    name = 'own'
    def __init__(self, x): self.x = x


def test_the_same_numbers_in_another_shape_are_other_data():
    x = torch.arange(6.)
    assert len({fingerprint(Own(o)) for o in (x, x.reshape(2, 3), x.reshape(3, 2))}) == 3


class Salted(str):
    "Has another hash in each process, as texts have"
    salt = 0
    def __hash__(self): return hash((self.salt, str(self)))
    __eq__ = str.__eq__


def test_data_may_hold_sets_and_themselves(monkeypatch):
    def made(names):
        o, names = Own(0), [*map(Salted, names)]
        o.names, o.by, o.me, o.list = {*names}, {1: [frozenset(names)], 'a': (2,)}, o, []
        o.list.append(o.list); o.by['me'] = o.by
        return fingerprint(o), [*o.names]
    (a, order), (other, _) = made('abcdef'), made('abcdeg')
    monkeypatch.setattr(Salted, 'salt', 1)
    assert made('abcdef')[0] == a != other and made('abcdef')[1] != order


def test_another_precision_is_never_taken_for_the_same_run(tmp_path):
    make().save(tmp_path/'c.safetensors')
    for exact in (True, False):
        with pytest.raises(ValueError, match='precision differs'):
            make(precision='bf16').load(tmp_path/'c.safetensors', exact)


def test_no_pickle_is_read(tmp_path):
    path = tmp_path/'c.safetensors'
    torch.save(dict(state=make().state_dict()), path)
    with pytest.raises(ValueError, match='is not a valid checkpoint'): make().load(path)
    sources = [p.read_text() for p in (here.parent/'gan_nbdev').glob('*.py')]
    assert not [o for o in sources if re.search(r'torch\.load\(|pickle\.|allow_pickle=True', o)]


# ---- configurations

@pytest.fixture(scope='module')
def small_run(tmp_path_factory):
    d = tmp_path_factory.mktemp('config')
    gan_train('ring', steps=3, out=d/'run', quiet=True, device='cpu')
    return d, (d/'run/config.json').read_text()


class Reached(Exception): pass


@cases
@given(data=st.data())
def test_changed_configurations_are_refused_or_understood(small_run, data):
    d, text = small_run
    if data.draw(st.booleans()):   # as text
        raw = change(data.draw, text.encode())
    else:                          # as JSON
        tree = json.loads(text)
        *above, last = data.draw(st.sampled_from([o for o in spots(tree) if o]))
        at = tree
        for k in above: at = at[k]
        at[last] = data.draw(junk)
        raw = json.dumps(tree).encode()
    path = d/'changed.json'
    path.write_bytes(raw)
    for f in (lambda: gan_train(config=path, out=d/'new', quiet=True, device='cpu'),
              lambda: (Path(d/'run/config.json').write_bytes(raw), load_run(d/'run'))):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            def reached(*args, **kw): raise Reached
            patch.setattr(Trainer, 'fit', reached)
            try: f()
            except (ValueError, OSError) as e: assert str(e)
            except Reached: pass
        assert not (d/'new').exists()


# ---- disks and signals

def saved(folder): return [i for i, _ in checkpoint_files(folder)]


def no_space(folder, hook):
    "A run whose disk is full at the second checkpoint keeps the first, and goes on from there"
    t = make(hooks=(EMA,))
    t.hooks += [Checkpoints(folder, every=5), hook]
    with pytest.raises(OSError, match='cannot be written, those before are kept'):
        t.fit(20, progress=False)
    assert saved(folder) == [0] and len(os.listdir(folder)) == 1
    hook.undo()
    again = make(hooks=(EMA,)).load(latest_checkpoint(folder))
    again.hooks += [Checkpoints(folder, every=5)]
    again.fit(20, progress=False)
    assert saved(folder) == [15, 20]
    assert state(again) == state(make(hooks=(EMA,)).fit(20, progress=False))


def test_a_limit_on_file_sizes(tmp_path):
    class Limit:
        def after_iteration(self, t):
            if t.iteration == 4: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, self.old[1]))
        def undo(self): resource.setrlimit(resource.RLIMIT_FSIZE, self.old)
    hook = Limit()
    hook.old = resource.getrlimit(resource.RLIMIT_FSIZE)
    try: no_space(tmp_path/'run', hook)
    finally: hook.undo()


def test_a_full_disk(tmp_path):
    disk = tmp_path/'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', str(disk)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('mounting a small disk needs root')
    class Fill:
        def after_iteration(self, t):
            if t.iteration == 4:
                with open(disk/'rest', 'wb', buffering=0) as f:
                    while True:
                        try: f.write(b'x'*4096)
                        except OSError: return
        def undo(self): (disk/'rest').unlink(missing_ok=True)
    try: no_space(disk/'run', Fill())
    finally: subprocess.run(['umount', str(disk)], check=True)


@pytest.mark.skipif(sys.platform != 'linux', reason='changes the user of this process for a moment')
def test_a_folder_that_cannot_be_written(tmp_path):
    t, folder = make(), tmp_path/'run'
    t.hooks += [Checkpoints(folder, every=5)]
    t.fit(10, progress=False)
    for d in (*tmp_path.parents, tmp_path):
        if d.stat().st_uid == os.getuid() and str(d).startswith(tempfile.gettempdir() + '/'):
            d.chmod(0o755)
    folder.chmod(0o555)
    if root := os.geteuid() == 0: os.seteuid(65534)   # root may write anywhere
    try:
        with pytest.raises(OSError, match='cannot be written, those before are kept'):
            t.fit(10, progress=False)
    finally:
        if root: os.seteuid(0)
        folder.chmod(0o755)
    assert saved(folder) == [5, 10] and make().load(latest_checkpoint(folder)).iteration == 10


def command(*args, cwd):
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1',
           'PYTHONPATH': str(here.parent), 'PATH': f'{bin_}:{os.environ["PATH"]}'}
    return subprocess.Popen([bin_/'gan-train', *map(str, args)], cwd=cwd, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def files(run):
    "Weights, record and configuration, and what was measured but the seconds"
    names = 'weights.safetensors', 'history.csv', 'config.json'
    measured = json.loads((run/'metrics.json').read_text())
    return [(run/o).read_bytes() for o in names], {**measured, 'seconds': 0}


def after(p, folder, iteration):
    "Wait until a checkpoint at `iteration` or later is there"
    while p.poll() is None and not any(i >= iteration for i in saved(folder)): time.sleep(0.01)
    assert p.poll() is None, p.communicate()


def test_the_command_survives_sigterm_and_sigkill(tmp_path):
    train = ('ring', '--steps', 1200, '--checkpoint_every', 100, '--batch_size', 32, '--device', 'cpu', '--out')
    def to_the_end(*args): return run('gan-train', *args, '--quiet', cwd=tmp_path)
    assert to_the_end(*train, 'whole').returncode == 0
    folder = tmp_path/'run/checkpoints'
    p = command(*train, 'run', '--quiet', cwd=tmp_path)
    after(p, folder, 200)
    p.terminate()
    assert p.wait(60) == 143, p.communicate()
    first = saved(folder)[-1]
    assert first >= 200 and not (tmp_path/'run/config.json').exists()
    p = command('--resume', '--quiet', '--out', 'run', '--checkpoint_every', 100, cwd=tmp_path)
    after(p, folder, first + 1)
    p.kill()
    p.wait()
    r = to_the_end(*train, 'run')
    assert r.returncode == 2
    assert 'already holds a run (checkpoints): choose another folder (--out), --resume' in r.stderr
    r = to_the_end('--resume', '--out', 'run', '--seed', 1)
    assert r.returncode == 2
    assert '--seed 1 differs from the 0 of the run' in r.stderr and r.stderr.count('\n') == 1
    r = to_the_end('--resume', '--out', 'run')
    assert r.returncode == 0 and 'from iteration' in r.stdout, r.stderr
    assert files(tmp_path/'run') == files(tmp_path/'whole')
    r = to_the_end('--config', 'run/config.json', '--out', 'again')
    assert r.returncode == 0, r.stderr
    assert files(tmp_path/'again') == files(tmp_path/'whole')


def test_resuming_with_changed_data_is_one_line(tmp_path):
    table = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(tmp_path/'t.csv', table, delimiter=',')
    run = tmp_path/'run'
    gan_train(str(tmp_path/'t.csv'), steps=3, out=run, quiet=True, device='cpu')
    np.savetxt(tmp_path/'t.csv', table + 1, delimiter=',')
    before = {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}
    for kw in (dict(resume=True, out=run), dict(config=run/'config.json', out=tmp_path/'new')):
        with pytest.raises(ValueError, match='t is not the data that was recorded'):
            gan_train(quiet=True, device='cpu', **kw)
    assert before == {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}
    assert not (tmp_path/'new').exists()


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_killed_at_random_and_while_writing():
    "A handful; `make torture` does it 200 times"
    seed = os.environ.get('GAN_SEED', '0')
    cmd = [sys.executable, here/'torture.py', '--kills', '8', '--seed', seed]
    r = subprocess.run(cmd, capture_output=True, text=True, timeout=300, cwd=here.parent,
                       env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(here.parent)})
    assert r.returncode == 0, r.stdout + r.stderr
    assert 'kills: 8\n' in r.stdout and 'bits that differ: 0' in r.stdout, r.stdout


class _Fails:
    def __init__(self, when, error=OSError): self.at, self.error = when, error; setattr(self, when, self.fail)
    def fail(self, *_): raise self.error(f'failed in {self.at}')


@pytest.mark.parametrize('when', ['after_block', 'after_fit'])
def test_a_hook_that_fails_between_iterations_keeps_no_state_off_the_disk(tmp_path, when):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    first, second = _Fails(when), _Fails('after_fit', KeyError)
    first.every = 20
    t = Trainer(gan, ring(), batch_size=16, device='cpu', hooks=[first, second, Checkpoints(tmp_path, every=1000)])
    with pytest.raises(OSError, match=f'failed in {when}'): t.fit(30, progress=False)
    assert t.iteration == len(t.record) == {'after_block': 20, 'after_fit': 30}[when]
    t.hooks = []
    back = Trainer(GAN(mlp_generator(2, 2, (8,), seed=2), mlp_discriminator(2, (8,), seed=3), normal(2)), ring(), batch_size=16, device='cpu')
    back.load(latest_checkpoint(tmp_path))
    assert back.iteration == t.iteration and torch.equal(back.sample(5), t.sample(5))


def test_a_state_that_an_error_struck_within_is_not_written(tmp_path):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    t = Trainer(gan, ring(), batch_size=16, device='cpu', hooks=[_Fails('after_iteration'), Checkpoints(tmp_path, every=1000)])
    with pytest.raises(OSError): t.fit(30, progress=False)
    assert [i for i, _ in checkpoint_files(tmp_path)] == [0]


@pytest.mark.parametrize('v', [np.array(['a']), np.array([None]), np.ma.array([1., 2.], mask=[0, 1]), torch.eye(2).to_sparse(),
                               __import__('collections').namedtuple('P', 'a b')(1, 2)], ids=lambda v: type(v).__name__)
def test_what_a_checkpoint_would_bend_is_refused_by_name(v):
    with pytest.raises(ValueError, match='^hooks.0.mine is a'): pack({'hooks': [{'mine': v}]})


@pytest.mark.parametrize('notes', [np.float32(1), object(), {(1, 2): 3}])
def test_notes_that_json_cannot_write_are_refused_before_anything_is_written(notes, tmp_path):
    for refused in (lambda: make().save(tmp_path/'c', notes=notes), lambda: Checkpoints(tmp_path, notes=notes)):
        with pytest.raises(ValueError, match='notes must be what JSON can write, not '): refused()
    assert not [*tmp_path.iterdir()]


def test_numbers_are_kept_however_they_lie_in_memory(tmp_path):
    z = torch.tensor([1 + 2j]).conj()
    kept = dict(conjugated=z, negated=z.imag, one=torch.arange(4)[::2][:1], turned=torch.arange(6.).view(2, 3).T, part=torch.arange(9)[2:5])
    write_checkpoint(tmp_path/'c', dict(kept, backwards=np.arange(3)[::-1]), iteration=0, settings={}, versions={}, notes=None)
    there = read_checkpoint(tmp_path/'c')[0]
    assert all(torch.equal(there[k], v) for k, v in kept.items()) and there['backwards'].tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match='a is an array of float128|longdouble'): pack(dict(a=np.longdouble([1])))


def test_the_home_folder_is_understood_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    Checkpoints('~/run').folder.mkdir()
    make().save('~/run/checkpoint-0000000000.safetensors')
    assert latest_checkpoint('~/run') == tmp_path/'run'/'checkpoint-0000000000.safetensors'
    make().load('~/run/checkpoint-0000000000.safetensors')
